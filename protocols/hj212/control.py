"""Control of analysers: commands 3011 to 3021 (HJ 212-2017 table 9, 控制命令).

Their detail fields differ between sources, so only what all agree on has a field; the rest stays in `others`.
"""

from typing import ClassVar

from protocols.hj212.command import Command, Kind, Plain

_POL_ID = Plain("pol_id", "PolId", is_needed=False)
_INFO_ID = Plain("info_id", "InfoId", is_needed=False)
_DATA_TIME = Plain("data_time", "DataTime", Kind.TIME, is_needed=False)


class _OfAnalyser(Command, frozen=True, kw_only=True):
    """Of the analyser of one factor; None where a site has one only."""

    PLAIN: ClassVar[tuple[Plain, ...]] = (_POL_ID,)
    pol_id: str | None = None


class Calibrate(_OfAnalyser, frozen=True, kw_only=True):
    """3011, down: zero and span (零点校准量程校准)."""

    CN: ClassVar[str] = "3011"


class SampleNow(_OfAnalyser, frozen=True, kw_only=True):
    """3012, down: take a sample at once."""

    CN: ClassVar[str] = "3012"


class Clean(_OfAnalyser, frozen=True, kw_only=True):
    """3013, down: clean or blow back."""

    CN: ClassVar[str] = "3013"


class CompareSamples(_OfAnalyser, frozen=True, kw_only=True):
    """3014, down: sample for a comparison."""

    CN: ClassVar[str] = "3014"


class KeptSample(Command, frozen=True, kw_only=True):
    """3015, up: a sample was kept because of an exceedance. vase_no: the bottle."""

    CN: ClassVar[str] = "3015"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_DATA_TIME, Plain("vase_no", "VaseNo", is_needed=False))
    data_time: str | None = None
    vase_no: str | None = None


class SetSamplingPeriod(_OfAnalyser, frozen=True, kw_only=True):
    """3016, down: sample from cstart_time (hhmmss) on, every ctime hours."""

    CN: ClassVar[str] = "3016"
    PLAIN: ClassVar[tuple[Plain, ...]] = (
        _POL_ID,
        Plain("cstart_time", "CstartTime", is_needed=False),
        Plain("ctime", "Ctime", is_needed=False),
    )
    cstart_time: str | None = None
    ctime: str | None = None


class ReadSamplingPeriod(_OfAnalyser, frozen=True, kw_only=True):
    """3017, down."""

    CN: ClassVar[str] = "3017"


class SamplingPeriod(SetSamplingPeriod, frozen=True, kw_only=True):
    """3017, up."""

    CN: ClassVar[str] = "3017"


class ReadSamplingTime(_OfAnalyser, frozen=True, kw_only=True):
    """3018, down: asks how long a sample takes."""

    CN: ClassVar[str] = "3018"


class SamplingTime(_OfAnalyser, frozen=True, kw_only=True):
    """3018, up. stime: minutes from the sample to its result."""

    CN: ClassVar[str] = "3018"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_POL_ID, Plain("stime", "Stime", is_needed=False))
    stime: str | None = None


class ReadIdentity(_OfAnalyser, frozen=True, kw_only=True):
    """3019, down."""

    CN: ClassVar[str] = "3019"


class Identity(_OfAnalyser, frozen=True, kw_only=True):
    """3019, up: `code-SN`, the serial number of each analyser."""

    CN: ClassVar[str] = "3019"


class ReadInformation(_OfAnalyser, frozen=True, kw_only=True):
    """3020, down: logs, states or parameters of an analyser. info_id: which, such as i11001."""

    CN: ClassVar[str] = "3020"
    PLAIN: ClassVar[tuple[Plain, ...]] = (
        _POL_ID,
        _INFO_ID,
        Plain("begin_time", "BeginTime", Kind.TIME, is_needed=False),
        Plain("end_time", "EndTime", Kind.TIME, is_needed=False),
    )
    info_id: str | None = None
    begin_time: str | None = None
    end_time: str | None = None


class Information(_OfAnalyser, frozen=True, kw_only=True):
    """3020, up: `i...-Info`."""

    CN: ClassVar[str] = "3020"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_DATA_TIME, _POL_ID)
    data_time: str | None = None


class SetParameters(_OfAnalyser, frozen=True, kw_only=True):
    """3021, down: `i...-Info` of what is to be set."""

    CN: ClassVar[str] = "3021"
    PLAIN: ClassVar[tuple[Plain, ...]] = (_POL_ID, _INFO_ID)
    info_id: str | None = None


class ParametersReading(_OfAnalyser, frozen=True, kw_only=True):
    """3021, up: what was set."""

    CN: ClassVar[str] = "3021"


DOWN: tuple[type[Command], ...] = (
    Calibrate, SampleNow, Clean, CompareSamples, SetSamplingPeriod, ReadSamplingPeriod, ReadSamplingTime, ReadIdentity,
    ReadInformation, SetParameters,
)  # fmt: skip
UP: tuple[type[Command], ...] = (
    KeptSample, SamplingPeriod, SamplingTime, Identity, Information, ParametersReading,
)  # fmt: skip
