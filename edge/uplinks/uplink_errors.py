"""Why there is no connection: what `Reconnect` makes of it, and one line for a person.

Sources: MQTT 5.0 (OASIS, 2019) 3.2.2.2 and 3.14.2.1 for reason codes; MQTT 3.1.1 3.2.2.3 for its five return codes,
which paho hands out as the reason codes of version 5; OpenSSL's X509_V_ERR numbers for certificates.
"""

import errno
import socket
import ssl
from functools import cache
from typing import Final

from drivers.text import _
from edge.uplinks.reconnect import Failure

TAKEN_OVER_CODE: Final = 0x8E
_VERSION_CODES = (0x01, 0x84)
_EXPIRED, _NOT_YET_VALID = 10, 9
_HOST_MISMATCH, _ADDRESS_MISMATCH = 62, 64
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
"""OpenSSL's numbers: unable to get issuer, self-signed, self-signed in chain, no local issuer, unable to verify."""
_CONNECTION_REFUSED = f"[Errno {errno.ECONNREFUSED}]"


@cache
def _credential_codes() -> dict[int, str]:
    """Codes that need a person."""
    return {
        0x85: _("the broker does not accept this node's id as a client id"),
        0x86: _("the broker does not accept the user name or password"),
        0x87: _("the broker says that this node is not authorised"),
        0x8A: _("the broker has banned this node"),
        0x8C: _("the broker asks for another way of authentication"),
    }


@cache
def _busy_codes() -> dict[int, str]:
    """Codes that another broker, or time, may help."""
    return {
        0x88: _("the broker is unavailable"),
        0x89: _("the broker is busy"),
        0x8B: _("the broker is shutting down"),
        0x95: _("the broker found a message too large"),
        0x96: _("the broker finds the messages too many"),
        0x97: _("a quota at the broker is used up"),
        0x9C: _("the broker names another one to use"),
        0x9D: _("the broker has moved"),
        0x9F: _("the broker limits the rate of connections"),
    }


@cache
def _our_certificate() -> dict[str, str]:
    """OpenSSL's names of the alerts that a broker sends about our certificate."""
    return {
        "SSLV3_ALERT_CERTIFICATE_EXPIRED": _("the broker says that this node's certificate has expired"),
        "SSLV3_ALERT_CERTIFICATE_REVOKED": _("the broker says that this node's certificate is revoked"),
        "TLSV1_ALERT_UNKNOWN_CA": _("the broker does not know the authority of this node's certificate"),
        "TLSV13_ALERT_CERTIFICATE_REQUIRED": _("the broker asks for a certificate"),
        "SSLV3_ALERT_BAD_CERTIFICATE": _("the broker does not accept this node's certificate"),
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _("the broker does not accept this node's certificate"),
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _("the broker does not accept this node's certificate"),
        "TLSV1_ALERT_ACCESS_DENIED": _("the broker does not accept this node's certificate"),
        "TLSV1_ALERT_DECRYPT_ERROR": _("the broker does not accept this node's certificate"),
    }


class UplinkError(Exception):
    """There is no connection, or no longer. Its text is one line for a person."""

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure = failure


def error_of_code(code: int) -> UplinkError:
    """What a reason code of CONNACK or DISCONNECT means."""
    if code == TAKEN_OVER_CODE:
        return UplinkError(Failure.TAKEN_OVER, _("another client has connected under this node's id"))
    if code in _credential_codes():
        return UplinkError(Failure.CREDENTIAL, _credential_codes()[code])
    if code in _VERSION_CODES:
        return UplinkError(Failure.VERSION, _("the broker does not speak this version of MQTT"))
    if code in _busy_codes():
        return UplinkError(Failure.BUSY, _busy_codes()[code])
    return UplinkError(Failure.LINK, _("the broker hung up with reason code 0x{code:02x}").format(code=code))


def error_of(error: BaseException) -> UplinkError:
    """What an exception means that connecting, or a connection that broke, has left behind."""
    match error:
        case UplinkError():
            return error
        case ssl.SSLError():
            return _of_tls(error)
        case socket.gaierror() | UnicodeError():
            text = _("the host name cannot be resolved: {reason}").format(reason=error)
        case TimeoutError():
            text = _("no answer in time")
        case OSError() if isinstance(error, ConnectionRefusedError) or _CONNECTION_REFUSED in str(error):
            text = _("nothing answers on this port")  # asyncio folds the errors of several addresses into one text
        case OSError():
            text = error.strerror or str(error) or type(error).__name__
        case _:
            text = f"{type(error).__name__}: {error}"
    return UplinkError(Failure.LINK, text)


def _of_tls(error: ssl.SSLError) -> UplinkError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return UplinkError(Failure.CREDENTIAL, _of_their_certificate(error))
    if error.reason in _our_certificate():
        return UplinkError(Failure.CREDENTIAL, _our_certificate()[error.reason])
    return UplinkError(Failure.LINK, _("TLS: {reason}").format(reason=error.reason or error))


def _of_their_certificate(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code == _NOT_YET_VALID:
        return _("the broker's certificate is not yet valid: is the clock of this box right?")
    if code == _EXPIRED:
        return _("the broker's certificate has expired, or the clock of this box is wrong")
    if code in (_HOST_MISMATCH, _ADDRESS_MISMATCH):
        return _("the broker's certificate is for another host: {reason}").format(reason=error.verify_message)
    if code in _UNKNOWN_AUTHORITY:
        return _("the broker's certificate does not come from the authority in `ca`")
    return _("the broker's certificate is not accepted: {reason}").format(reason=error.verify_message)
