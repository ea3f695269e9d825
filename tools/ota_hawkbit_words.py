"""What a hawkBit server wants and was told, for people and for programs."""

from collections.abc import Iterator, Mapping
from typing import Any

from drivers.text import _
from ota.hawkbit.assignment import Assignment
from ota.hawkbit.events import (
    Assigned,
    AttributesTold,
    CancelAsked,
    ConfirmationAsked,
    Event,
    NotTold,
    Polled,
    Told,
    Trouble,
    Withdrawn,
)
from ota.hawkbit.mapping import Wanted
from ota.trust.web import plain

_WORDS: dict[type[Event], str] = {
    Polled: _("hawkBit was asked; again in {next_s:.0f} s"),
    Assigned: _("action {action}: an update is assigned"),
    ConfirmationAsked: _("action {action} waits to be confirmed: wayside ota hawkbit confirm"),
    CancelAsked: _("action {action} is to be cancelled: wayside ota hawkbit cancel"),
    Withdrawn: _("action {action} is withdrawn: {reason}"),
    Told: _("action {action}: {execution} is told"),
    NotTold: _("action {action}: {execution} is not told: {reason}"),
    AttributesTold: _("the device's attributes are told"),
    Trouble: _("{reason}; tried again in {wait_s:.0f} s"),
}


def fact_of(event: Event) -> dict[str, Any]:
    """An event as plain data."""
    name = {"event": type(event).__name__}
    match event:
        case Told() | NotTold():
            reason = {"reason": event.reason} if isinstance(event, NotTold) else {}
            return {**name, "action": event.feedback.action, "execution": event.feedback.execution.value, **reason}
        case Assigned() | ConfirmationAsked():
            return {**name, "action": event.assignment.action}
        case _:
            return {**name, **event._asdict()}


def words_of(event: Event) -> str:
    """An event in a line. It may hold what the server has said."""
    return _WORDS[type(event)].format(**fact_of(event))


def document_of(assignment: Assignment, images: Mapping[str, Wanted], refusal: str) -> dict[str, Any]:
    """An assignment and what it means here, as plain data."""
    return {
        "action": assignment.action,
        "download": assignment.download.value,
        "update": assignment.update.value,
        "window": assignment.window.value,
        "may_download": assignment.may_download,
        "may_update": assignment.may_update,
        "is_to_be_confirmed": assignment.is_to_be_confirmed,
        "chunks": [
            {**each._asdict(), "artifacts": [file._asdict() for file in each.artifacts]} for each in assignment.chunks
        ],
        "images": {ecu: {"target": image.target, "version": image.version} for ecu, image in images.items()},
        "refusal": refusal,
    }


def lines_of(assignment: Assignment, images: Mapping[str, Wanted], refusal: str) -> Iterator[str]:
    """The same in lines."""
    text = _("action {action}: download {download}, update {update}, maintenance window {window}")
    yield text.format(
        action=assignment.action,
        download=assignment.download.value,
        update=assignment.update.value,
        window=assignment.window.value or _("none"),
    )
    for chunk in assignment.chunks:
        yield "  " + "  ".join(plain(each) for each in (chunk.part, chunk.name, chunk.version))
        for file in chunk.artifacts:
            yield f"    {plain(file.name)}  {file.size:,} bytes  sha256 {file.sha256 or '-'}"
    for ecu, image in images.items():
        yield _("  {ecu} is to run {target}").format(ecu=ecu, target=image.target)
    if refusal:
        yield _("  it names no image of this device: {reason}").format(reason=refusal)
