"""`wayside ota repo ...`: the signing side of updates, as commands that a careful person follows.

What is signed, and what with, travels as files. A command that would change something says with `--dry-run` what, and
changes nothing. A refusal is one line that names the rule and the file; then nothing has changed.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.text import _
from tools import ota_key_changes, ota_plans, ota_release, ota_verify
from tools.ota_step import (
    DryRunOption,
    JsonOption,
    PassphraseOption,
    Repository,
    finish,
    passphrase_of,
    pin_of,
    refusals,
    show,
)
from tools.output import Exit, fail, print_json, print_line, say

if TYPE_CHECKING:
    from ota.repository.ceremony import Paper
    from ota.repository.change_set import ChangeSet
    from ota.repository.keys import PublicKey
    from ota.repository.token_keys import TokenReference

app = typer.Typer(no_args_is_help=True)

app.command()(ota_release.add_release)
app.command()(ota_key_changes.rotate_key)
app.command()(ota_key_changes.revoke)
app.command()(ota_key_changes.renew)
app.command()(ota_key_changes.add_family)
app.command()(ota_verify.verify)
app.command()(ota_plans.plan)
app.command()(ota_plans.bundle)


@app.callback()
def repo() -> None:
    """Sign and publish updates."""


@app.command()
def key(
    holder: Annotated[str, typer.Argument(metavar="HOLDER", help=_("who will hold it, such as alice"))],
    role: Annotated[str, typer.Option("--role", help=_("root, targets, online or director"))],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help=_("folder to write the two files to"))] = Path(),
    passphrase_file: PassphraseOption = None,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="URI", help=_("the key lies in a token: its pkcs11: URI, without a PIN")),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key: HOLDER-ROLE.key for its holder alone, encrypted, and HOLDER-ROLE.pub for the ceremony.

    With --token nothing is made: HOLDER-ROLE.key says where in the token the key lies, and holds no secret.
    """
    with refusals(as_json=as_json):
        from ota.repository.keys import KeyRole, SigningKey, new_key_files
        from ota.repository.pkcs11_uri import parse_uri
        from ota.repository.token_keys import check_offline, write_reference

        if role not in {one.value for one in KeyRole}:
            fail(
                _("there is no role {role}: root, targets, online or director").format(role=role),
                Exit.USAGE,
                as_json=as_json,
            )
        private, public = new_key_files(out, holder, KeyRole(role))
        keyid = ""
        if token is not None:
            uri = parse_uri(token)
            check_offline(KeyRole(role), holder)
            if not dry_run:
                pin = pin_of(uri, passphrase_file, as_json=as_json)
                keyid = write_reference(out, KeyRole(role), holder, token, pin).public.keyid
        else:
            made = SigningKey.new(KeyRole(role), holder)
            if not dry_run:
                secret = passphrase_of(passphrase_file, private.name, is_new=True, as_json=as_json)
                made.write(out, secret)
                keyid = made.public.keyid
    if as_json:
        done = {"private": str(private), "public": str(public)}
        print_json({"ok": True, "dry_run": dry_run, **done, **({} if dry_run else {"keyid": keyid})})
        return
    if dry_run:
        text = _("would write {private} and {public}")
    elif token is not None:
        text = _("{private} says where the key lies and stays with its holder; {public} goes to the ceremony")
    else:
        text = _("{private} never leaves its holder; {public} goes to the ceremony")
    print_line(text.format(private=private, public=public))


@app.command()
def init(
    folder: Repository,
    root: Annotated[list[Path], typer.Option("--root", metavar="PUB", help=_("a key for root; three at least"))],
    targets: Annotated[
        list[Path], typer.Option("--targets", metavar="PUB", help=_("a key for targets; three at least"))
    ],
    online: Annotated[Path, typer.Option("--online", metavar="PUB", help=_("the publishing machine's key"))],
    director: Annotated[Path, typer.Option("--director", metavar="PUB", help=_("the Director's key"))],
    family: Annotated[
        list[str] | None,
        typer.Option(
            "--family",
            metavar="NAME[=PUB,PUB,PUB]",
            help=_("a product family; the targets keys sign for it, or its own"),
        ),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Begin: both repositories' first metadata, unsigned, into DIR/staged for the key holders to sign."""
    with refusals(as_json=as_json, folder=folder, dry_run=dry_run):
        from ota.repository.ceremony import begin
        from ota.repository.keys import KeyRole, PublicKey
        from ota.repository.roles import FAMILIES
        from ota.repository.workspace import HostStorage

        signers = [PublicKey.read(file, KeyRole.TARGETS) for file in targets]
        storage = HostStorage(folder)
        made = begin(
            storage,
            root=[PublicKey.read(file, KeyRole.ROOT) for file in root],
            targets=signers,
            online=PublicKey.read(online, KeyRole.ONLINE),
            director=PublicKey.read(director, KeyRole.DIRECTOR),
            families=dict(_family(word, signers) for word in family or FAMILIES),
            now=datetime.now(UTC),
        )
        if not dry_run:
            storage.open()
        finish(made, storage, folder=folder, dry_run=dry_run, as_json=as_json)


@app.command()
def sign(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=_("what to sign, such as 4.rsu.json"))],
    key_file: Annotated[Path, typer.Option("--key", metavar="KEY", help=_("your private key"))],
    against: Annotated[
        Path | None, typer.Option("--against", metavar="FILE", help=_("the version before it: shows what is new"))
    ] = None,
    passphrase_file: PassphraseOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read what you sign, then write your signature beside it: FILE.HOLDER-KEYID.sig, to be carried to DIR/staged."""
    with refusals(as_json=as_json):
        from ota.repository.ceremony import look_at, read_to_sign
        from ota.repository.keys import role_of
        from ota.repository.token_keys import read_reference
        from ota.repository.workspace import HostStorage

        if against is not None and len(files) > 1:
            fail(_("--against goes with one file"), Exit.USAGE, as_json=as_json)
        reference = read_reference(key_file)
        role = reference.public.role if reference is not None else role_of(key_file)[0]
        papers = [read_to_sign(file, role) for file in files]
        looked = [look_at(paper, against) for paper in papers]
        made = []
        if not dry_run:
            if passphrase_file is None and not as_json:
                while looked:
                    show(looked.pop(0))  # before it is asked for: who gives a passphrase has read what it is for
            made = _signatures(papers, key_file, reference, passphrase_file, as_json=as_json)
            for file, one in zip(files, made, strict=True):
                one.apply(HostStorage(file.parent))
    if as_json:
        changes = [change for one in (*looked, *made) for change in one.changes]
        print_json(
            {"ok": True, "dry_run": dry_run, "changes": changes, "files": [n for one in made for n in one.files]}
        )
        return
    for one in (*looked, *made):
        show(one)
    if dry_run:
        say(_("a dry run: nothing has changed"))


@app.command()
def publish(
    folder: Repository,
    key_file: Annotated[
        Path | None, typer.Option("--online-key", metavar="KEY", help=_("the publishing machine's private key"))
    ] = None,
    passphrase_file: PassphraseOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make DIR/public what devices fetch: everything staged that enough holders have signed, and a new timestamp.

    A timestamp holds for a day: run it each day, also when nothing waits.
    """
    with refusals(as_json=as_json, folder=folder, dry_run=dry_run):
        from ota.repository.keys import SigningKey
        from ota.repository.publish import prepare
        from ota.repository.workspace import opened

        if key_file is None and not dry_run:
            fail(_("--online-key is needed: it signs what is new"), Exit.USAGE, as_json=as_json)
        with opened(folder) as workspace:
            publication = prepare(workspace, datetime.now(UTC))
            made = publication.changes
            if key_file is not None:
                secret = passphrase_of(passphrase_file, key_file.name, as_json=as_json)
                made = publication.sign(SigningKey.read(key_file, secret))
            finish(made, workspace.storage, folder=folder, dry_run=dry_run, as_json=as_json)


def _signatures(
    papers: "list[Paper]",
    key_file: Path,
    reference: "TokenReference | None",
    passphrase_file: Path | None,
    *,
    as_json: bool,
) -> "list[ChangeSet]":
    """All of them or none: a token may be pulled between two."""
    from ota.repository.ceremony import sign_paper
    from ota.repository.keys import SigningKey
    from ota.repository.token_keys import opened_key

    if reference is None:
        key = SigningKey.read(key_file, passphrase_of(passphrase_file, key_file.name, as_json=as_json))
        return [sign_paper(paper, key) for paper in papers]
    with opened_key(reference, pin_of(reference.uri, passphrase_file, as_json=as_json)) as held:
        return [sign_paper(paper, held) for paper in papers]


def _family(word: str, signers: "list[PublicKey]") -> "tuple[str, list[PublicKey]]":
    from ota.repository.keys import KeyRole, PublicKey

    name, _equals, files = word.partition("=")
    return name, [PublicKey.read(Path(file), KeyRole.TARGETS) for file in files.split(",")] if files else signers
