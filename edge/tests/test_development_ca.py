"""The development authority: what it issues holds in a real TLS handshake, and nothing is ever replaced."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from edge.identity.development_ca import CERTIFICATE_DAYS, Credential, DevelopmentCa, DevelopmentCaError

NOW = datetime.now(UTC)


def handshake(ca: Path, server: Credential, client: Credential | None, host: str = "localhost") -> ssl.SSLObject:
    """A handshake in memory; returns the server's side."""
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_cert_chain(server.cert, server.key)
    client_context = ssl.create_default_context(cafile=ca)
    if client is not None:
        client_context.load_cert_chain(client.cert, client.key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = server_context.wrap_bio(up, down, server_side=True)
    client_side = client_context.wrap_bio(down, up, server_hostname=host)
    done = set()
    for _ in range(10):
        for side in (client_side, server_side):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
        if len(done) == 2:
            break
    assert len(done) == 2
    return server_side


def test_a_node_s_certificate_carries_its_id_through_mutual_tls(tmp_path: Path) -> None:
    ca = DevelopmentCa.create(tmp_path / "pki", now=NOW)
    server = ca.issue_server("broker", now=NOW)
    client = ca.issue_client("rsu-7f3a", now=NOW)
    peer = handshake(ca.ca, server, client).getpeercert()
    assert peer is not None
    assert (("commonName", "rsu-7f3a"),) in peer["subject"]
    assert handshake(ca.ca, server, client, "127.0.0.1")


def test_a_stranger_is_refused(tmp_path: Path) -> None:
    ca = DevelopmentCa.create(tmp_path / "pki", now=NOW)
    other = DevelopmentCa.create(tmp_path / "other", now=NOW)
    server = ca.issue_server("broker", now=NOW)
    with pytest.raises(ssl.SSLError):
        handshake(ca.ca, server, other.issue_client("rsu-7f3a", now=NOW))
    with pytest.raises(ssl.SSLError):
        handshake(ca.ca, server, None)
    with pytest.raises(ssl.SSLError):
        handshake(ca.ca, ca.issue_client("rsu-1", now=NOW), ca.issue_client("rsu-2", now=NOW))  # no server
    with pytest.raises(ssl.SSLError):
        handshake(ca.ca, server, ca.issue_client("rsu-3", now=NOW), "broker.example")


def test_everything_says_development_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    ca = DevelopmentCa.create(tmp_path / "pki", now=NOW)
    ca.issue_server("broker", now=NOW)
    credential = ca.issue_client("rsu-7f3a", now=NOW)
    for path in (tmp_path / "pki").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in (ca.ca, credential.cert):
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        assert "development" in certificate.subject.rfc4514_string()
        assert "development" in certificate.issuer.rfc4514_string()
    assert certificate.not_valid_after_utc - NOW <= timedelta(days=CERTIFICATE_DAYS)


def test_an_authority_that_was_opened_again_issues_as_before(tmp_path: Path) -> None:
    server = DevelopmentCa.create(tmp_path, now=NOW).issue_server("broker", now=NOW)
    again = DevelopmentCa.open(tmp_path)
    assert handshake(again.ca, server, again.issue_client("rsu-7f3a", now=NOW))


def test_what_exists_is_not_replaced_and_bad_input_has_its_reason(tmp_path: Path) -> None:
    ca = DevelopmentCa.create(tmp_path, now=NOW)
    key = (tmp_path / "development-ca.key").read_bytes()
    with pytest.raises(DevelopmentCaError, match="exists"):
        DevelopmentCa.create(tmp_path, now=NOW)
    assert (tmp_path / "development-ca.key").read_bytes() == key
    ca.issue_client("rsu-7f3a", now=NOW)
    with pytest.raises(DevelopmentCaError, match="exists"):
        ca.issue_client("rsu-7f3a", now=NOW)
    for name in ("", "Upper", "a/b", "../a", "x" * 65):
        with pytest.raises(DevelopmentCaError):
            ca.issue_client(name, now=NOW)
        with pytest.raises(DevelopmentCaError):
            ca.issue_server(name, now=NOW)
    with pytest.raises(
        DevelopmentCaError, match=r"nothing: holds no development authority: No such file or directory$"
    ):
        DevelopmentCa.open(tmp_path / "nothing")
    (tmp_path / "development-ca.key").write_bytes(b"rubbish")
    with pytest.raises(DevelopmentCaError, match="holds no"):
        DevelopmentCa.open(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DevelopmentCaError, match=r"pki: cannot be made: Not a directory$"):
        DevelopmentCa.create(tmp_path / "file" / "pki", now=NOW)
