"""One rollout, from the first plan to its end or its halt: both sides on one queue of events in virtual time."""

from array import array
from collections.abc import Callable, Mapping, Sequence

import msgspec

from ota.campaign.conditions import conditions_of
from ota.campaign.course import Course, next_look_at
from ota.campaign.judge import Tally, Verdict
from ota.campaign.progress import Progress, progress_of
from ota.campaign.rules import Campaign
from ota.campaign.simulation.agenda import Agenda
from ota.campaign.simulation.desk import Desk, Standing
from ota.campaign.simulation.fleet import MODELS, Model, Trouble, check_model
from ota.campaign.simulation.world import (
    AGAIN_S,
    CANNOT_WRITE,
    DIES,
    GOES_DARK,
    OF_RELEASE,
    ROLLS_BACK,
    WELL,
    World,
    window_opens,
)
from ota.errors import Rule
from ota.targets import Conditions

BEGIN = 1_800_000_000
TURN_S = 60
"""So often it is judged, where anything has changed."""
SAMPLES = 50
"""The counts are noted for a picture each time that a stage is older by this part of its age."""
FIRST_LOOK_S = 300
LOOK_S = 3600
MAX_LOOKS = 6
"""At its counters while a device is watched: once an hour, less often in a long watch."""
_BACK_AT_ONCE_S, _BACK_S = 60, 900

_ARRIVES, _REACHED, _SWITCHES, _TRIED, _REPORT, _LOOK, _VITALS, _AGAIN, _BACK = range(9)
_OUTCOMES = (
    ("confirmed", ""),
    ("rolled-back", Rule.HEALTH.value),
    ("failed", Rule.NETWORK.value),
    ("failed", Rule.STORAGE.value),
)
_CONFIRMED, _ROLLED_BACK, _NO_NETWORK, _NO_STORAGE = range(4)


class Moment(msgspec.Struct, frozen=True):
    """How far each stage is."""

    at: int
    stages: list[Progress]


class Decided(msgspec.Struct, frozen=True):
    """A verdict that was not to wait."""

    at: int
    stage: int
    verdict: Verdict


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Times in seconds since it began."""

    devices: int
    harmed: int
    """The release failed on them after they had switched, whether anybody has heard of it or not."""
    harmed_share: float
    halted_after_s: int | None
    """It stopped itself, for a person to judge or for good; None: it went to its end."""
    stopped_by: str
    """`pause`, `halt`, `halt-and-revert`; nothing where it was not stopped."""
    reason: str
    models: tuple[str, ...]
    """Those that are held guilty."""
    stage: int
    """The last one that has begun, from 1."""
    switched: int
    """Devices on which the release was started."""
    running: int
    """Devices that run it in the end, well or not."""
    background: int
    """Devices that failed without the release's doing."""
    state: Standing
    lasted_s: int
    seed: int


class Simulation:
    """One rollout. progress: is told (devices at an end, devices, stage) now and then."""

    def __init__(
        self,
        campaign: Campaign,
        devices: int,
        trouble: Trouble,
        seed: int,
        *,
        models: tuple[Model, ...] = MODELS,
        progress: Callable[[int, int, int], None] | None = None,
    ) -> None:
        check_model(trouble.model, models)
        self.campaign = campaign
        self._seed = seed
        self._progress = progress
        model_of = bytearray(_dealt(devices, models))
        names = [models[number].name for number in model_of]
        ids = [f"{name}-{seed}-{number}" for number, name in enumerate(names)]
        self._world = World(models, model_of, trouble, seed, BEGIN)
        usual = {model.name: (model.starts_a_day, model.records_a_day) for model in models}
        self._desk = Desk(campaign, ids, names, usual)
        self._agenda = Agenda()
        self._look_at = [0] * devices
        """When the desk looks at it next: the one look that counts."""
        self._plan = [0] * devices
        """The newest plan that the device knows."""
        self._back_from = [0] * devices
        """From this plan on it is told the way back; 0: it is not."""
        self._runs_release = bytearray(devices)
        self.switched_at = array("q", [0]) * devices
        """When each device began its trial of the release; 0: it never did."""
        self._harmed = bytearray(devices)
        self.moments: list[Moment] = []
        self.decided: list[Decided] = []

    @property
    def courses(self) -> Sequence[Course]:
        """Of each device, as the operator's side knows it."""
        return self._desk.courses

    @property
    def of_stage(self) -> Sequence[Mapping[str, Tally]]:
        """What is judged: the counts of each stage, by model."""
        return self._desk.of_stage

    def run(self) -> Outcome:
        """To the end: until nothing happens any more."""
        desk, agenda = self._desk, self._agenda
        steps = {
            _ARRIVES: self._arrives,
            _REACHED: self._is_reached,
            _SWITCHES: self._switches,
            _TRIED: self._tried,
            _REPORT: self._report,
            _LOOK: self._look,
            _VITALS: self._vitals,
            _AGAIN: self._again,
            _BACK: self._is_back,
        }
        desk.begin_stage(BEGIN, self._send)
        self._note(BEGIN)
        now, turn = BEGIN, BEGIN + TURN_S
        while desk.standing != "finished":
            at = agenda.next_at()
            if desk.has_changed and (at is None or at >= turn):
                now = turn
                self._take_turn(now)
            elif desk.standing == "running" and (at is None or at > self._patience_ends() >= now):
                now = self._patience_ends()
                self._take_turn(now)
            elif at is None:
                break
            else:
                now = at
                for kind, device, plan, outcome in agenda.take():
                    steps[kind](now, device, plan, outcome)
            turn = now + TURN_S - (now - BEGIN) % TURN_S
        self._note(now)
        return self._outcome(now)

    # The operator's side ----------------------------------------------------------------------------------------

    def _patience_ends(self) -> int:
        return self._desk.begun_at + self.campaign.stage[self._desk.stage].patience_s

    def _take_turn(self, now: int) -> None:
        desk = self._desk
        if now - self.moments[-1].at >= (now - desk.begun_at) // SAMPLES:
            self._note(now)
        if desk.standing not in ("running", "paused"):
            desk.has_changed = False
            return
        verdict = desk.verdict(now)
        if verdict.action != "wait":
            self._note(now)
            self.decided.append(Decided(now, desk.stage, verdict))
            desk.act(verdict, now, self._send)
            self._note(now)

    def _note(self, now: int) -> None:
        stages = [progress_of(tallies.values()) for tallies in self._desk.of_stage]
        self.moments.append(Moment(now, stages))
        if self._progress is not None:
            self._progress(sum(one.confirmed + one.failed for one in stages), len(self._plan), self._desk.stage)

    def _send(self, device: int, plan: int, is_back: bool, now: int) -> None:
        if is_back:
            self._back_from[device] = plan
        self._agenda.put(now + 2, _ARRIVES, device, plan)

    def _look_later(self, now: int, device: int) -> None:
        at = max(now + 1, next_look_at(self.campaign, self._desk.courses[device]))
        if at != self._look_at[device]:
            self._look_at[device] = at
            self._agenda.put(at, _LOOK, device)

    def _look(self, now: int, device: int, _plan: int, _outcome: int) -> None:
        desk = self._desk
        if self._look_at[device] != now or desk.courses[device].state not in ("reached", "confirmed"):
            return
        desk.heard(device, self._world.last_heard(device, now))
        desk.passed(device, now)
        state = desk.courses[device].state
        if state in ("reached", "confirmed"):
            self._look_later(now, device)
        elif state == "silent":
            self._push_online(now, _BACK, device, 0)

    def _again(self, now: int, device: int, _plan: int, _outcome: int) -> None:
        self._desk.tell_again(device, now, self._send)

    # The devices ------------------------------------------------------------------------------------------------

    def _push_online(self, now: int, kind: int, device: int, plan: int, outcome: int = 0) -> bool:
        """Whether it is online now; else the event comes when it is, if ever."""
        at = self._world.online_at(device, now)
        if at > now:
            self._agenda.put(at, kind, device, plan, outcome)
        return at == now

    def _gets_through(self, now: int, kind: int, device: int, plan: int, outcome: int = 0) -> bool:
        """Whether a message goes over the link now; else it is sent again."""
        if not self._push_online(now, kind, device, plan, outcome):
            return False
        if self._world.is_lost(device):
            self._agenda.put(now + AGAIN_S, kind, device, plan, outcome)
            return False
        return True

    def _arrives(self, now: int, device: int, plan: int, _outcome: int) -> None:
        if plan <= self._plan[device] or not self._gets_through(now, _ARRIVES, device, plan):
            return
        self._plan[device] = plan
        self._is_reached(now, device, plan, 0)
        back = self._back_from[device]
        if back and plan >= back:
            wait_s = _BACK_S if self._runs_release[device] else _BACK_AT_ONCE_S
            self._runs_release[device] = False
            self._agenda.put(now + wait_s, _REPORT, device, plan, _CONFIRMED)
            return
        fetched_at = self._world.fetched_at(device, self._conditions(device), now)
        if self._world.is_given_up(device):
            self._agenda.put(fetched_at, _REPORT, device, plan, _NO_NETWORK)
        else:
            self._agenda.put(fetched_at, _SWITCHES, device, plan)

    def _conditions(self, device: int) -> Conditions:
        course = self._desk.courses[device]
        return conditions_of(self.campaign, course.device, course.told_at)

    def _is_reached(self, now: int, device: int, plan: int, _outcome: int) -> None:
        if not self._gets_through(now, _REACHED, device, plan):
            return
        desk = self._desk
        desk.reached(device, plan, now)
        course = desk.courses[device]
        if course.state == "reached":
            self._look_later(now, device)

    def _switches(self, now: int, device: int, plan: int, _outcome: int) -> None:
        """The last block is there. A newer plan has stopped it between two blocks."""
        if self._plan[device] != plan or not self._push_online(now, _SWITCHES, device, plan):
            return
        if self.campaign.when.window is not None and (opens := window_opens(self._conditions(device), now)) > now:
            self._agenda.put(opens, _SWITCHES, device, plan)
            return
        fate = self._world.fate[device]
        if fate == CANNOT_WRITE:
            self._harmed[device] = fate
            self._agenda.put(now, _REPORT, device, plan, _NO_STORAGE)
            return
        self._runs_release[device] = True
        self.switched_at[device] = now
        self._harmed[device] = fate
        if fate & 7 == GOES_DARK:
            self._world.dies(device, now)
        else:
            self._agenda.put(now + self._world.trial_s(device), _TRIED, device, plan)

    def _tried(self, now: int, device: int, plan: int, _outcome: int) -> None:
        fate = self._world.fate[device] & 7
        if fate == ROLLS_BACK:
            self._runs_release[device] = False
        elif fate == DIES:
            self._world.dies_after(device, now)
        self._report(now, device, plan, _ROLLED_BACK if fate == ROLLS_BACK else _CONFIRMED)

    def _report(self, now: int, device: int, plan: int, outcome: int) -> None:
        if not self._gets_through(now, _REPORT, device, plan, outcome):
            return
        desk = self._desk
        desk.ended(device, plan, *_OUTCOMES[outcome], now)
        course = desk.courses[device]
        if course.state == "confirmed":
            self._agenda.put(now + FIRST_LOOK_S, _VITALS, device)
            self._look_later(now, device)
        elif course.state == "retrying":
            self._agenda.put(course.next_at, _AGAIN, device)

    def _vitals(self, now: int, device: int, _plan: int, _outcome: int) -> None:
        desk = self._desk
        if desk.courses[device].state not in ("confirmed", "silent"):
            self._world.forget(device)
        elif self._gets_through(now, _VITALS, device, 0):
            desk.watched(device, self._world.look(device, now))
            course = desk.courses[device]
            if course.first is not None and now - course.first.at < self.campaign.health.after_s:
                wait_s = self.campaign.health.after_s
            else:
                wait_s = max(LOOK_S, self.campaign.stage[course.stage].soak_s // MAX_LOOKS)
            if now + wait_s <= course.ended_at + self.campaign.stage[course.stage].soak_s:
                self._agenda.put(now + wait_s, _VITALS, device)
            else:
                self._world.forget(device)

    def _is_back(self, now: int, device: int, _plan: int, _outcome: int) -> None:
        if not self._gets_through(now, _BACK, device, 0):
            return
        desk = self._desk
        desk.heard(device, now)
        course = desk.courses[device]
        if course.state in ("reached", "confirmed"):
            self._look_later(now, device)

    # The end ----------------------------------------------------------------------------------------------------

    def _outcome(self, now: int) -> Outcome:
        stops = [one for one in self.decided if one.verdict.action in ("pause", "halt", "halt-and-revert")]
        last = self.decided[-1]
        harmed = sum(fate > OF_RELEASE for fate in self._harmed)
        return Outcome(
            devices=len(self._plan),
            harmed=harmed,
            harmed_share=harmed / len(self._plan),
            halted_after_s=stops[0].at - BEGIN if stops else None,
            stopped_by=stops[-1].verdict.action if stops else "",
            reason=last.verdict.reason,
            models=last.verdict.models,
            stage=last.stage + 1,
            switched=sum(at > 0 for at in self.switched_at),
            running=sum(self._runs_release),
            background=sum(WELL < fate < OF_RELEASE for fate in self._harmed),
            state=self._desk.standing,
            lasted_s=now - BEGIN,
            seed=self._seed,
        )


def _dealt(devices: int, models: Sequence[Model]) -> list[int]:
    """The model of each device: by their shares, in turns, so that any number of devices has them."""
    total = sum(model.share for model in models)
    owed = [0.0] * len(models)
    dealt: list[int] = []
    for _device in range(devices):
        for number, model in enumerate(models):
            owed[number] += model.share / total
        most = max(range(len(models)), key=owed.__getitem__)
        owed[most] -= 1
        dealt.append(most)
    return dealt
