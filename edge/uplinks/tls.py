"""Mutual TLS as the configuration asks for it. The files are read at each connection, so a renewed certificate counts.

There is no way to leave the broker's certificate or name unchecked: what is wrong with them is said in plain words by
`edge.uplinks.uplink_errors`.
"""

import ssl
from pathlib import Path

from drivers.text import _
from edge.uplinks.config import TlsConfig
from edge.uplinks.reconnect import Failure
from edge.uplinks.uplink_errors import UplinkError


def tls_context(config: TlsConfig, folder: Path) -> ssl.SSLContext:
    """Read the files of `config`, relative to `folder`. Raises `UplinkError` naming the file that is no good."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the chain and the host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    ca, cert, key = (folder / name for name in (config.ca, config.cert, config.key))
    try:
        context.load_verify_locations(cafile=ca)
    except (OSError, ValueError) as error:
        raise _unusable(ca, error) from error
    for path in (cert, key):  # OpenSSL does not say which of the two it could not open
        try:
            path.open("rb").close()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise _unusable(path, error) from error
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = _("{key} is not the key of {cert}; name the key that this certificate was made for").format(
                key=key, cert=cert
            )
            raise UplinkError(Failure.CREDENTIAL, text) from error
        text = _("{cert} and {key} are not a certificate and its unencrypted key in PEM").format(cert=cert, key=key)
        raise UplinkError(Failure.CREDENTIAL, text) from error
    except (OSError, ValueError) as error:
        raise _unusable(cert, error) from error
    return context


def _unusable(path: Path, error: Exception) -> UplinkError:
    """`ssl` raises `SSLError` where the file can be read but holds no certificate."""
    if isinstance(error, ssl.SSLError):
        return UplinkError(Failure.CREDENTIAL, _("{file} holds no certificate in PEM").format(file=path))
    reason = error.strerror if isinstance(error, OSError) else None
    return UplinkError(Failure.CREDENTIAL, _("{file}: {reason}").format(file=path, reason=reason or error))


def _no_password() -> str:
    """Without this OpenSSL would ask at the terminal, and a daemon would hang there."""
    raise ValueError("the key is encrypted")
