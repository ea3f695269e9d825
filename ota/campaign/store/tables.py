"""The tables. Times are whole seconds since 1970, documents are JSON as text; what is sought by has a column.

`device` is the fleet; `campaign`, `approval` and `course` are the rollouts; `plan` holds the newest plan of each
device, which the Director signs when it is asked; `command` is what is yet to be sent; `report` is what devices have
signed; `trail` is the audit, which is only appended to; `note` is the rest.

Rows are locked in this order, so that nobody waits in a circle: a campaign, the fleet (the note of that name), devices
by their ids, commands by theirs, the trail. Courses and plans have no lock of their own: they are their device's.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

SCHEMA_VERSION = 1

metadata = MetaData()

device = Table(
    "device",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("body", Text, nullable=False),  # FleetDevice
    Column("report_key", String(64), nullable=False),  # Ed25519, hexadecimal; its reports are believed by it
    Column("added_at", BigInteger, nullable=False),  # rises with each import: see `devices.put`
    Column("heard_at", BigInteger, nullable=False),
    Column("plan", BigInteger, nullable=False),  # the highest number that it was ever given
    Column("account", Text, nullable=False),  # what it said last of its slots
    Column("looks", Text, nullable=False),  # Looks: what its usual counters are
    Index("device_added_at", "added_at"),
)

campaign = Table(
    "campaign",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("body", Text, nullable=False),  # Campaign
    Column("digest", String(64), nullable=False),  # SHA-256 of the body: what is approved
    Column("author", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("stage", Integer, nullable=False),
    Column("begun_at", BigInteger, nullable=False),  # of the stage
    Column("reason", Text, nullable=False),  # why it is in this state
    Column("guilty", Text, nullable=False),  # models that are sent back, as JSON
    Column("excused", Text, nullable=False),  # failures that a person has looked at, as JSON
    Column("enrolled_at", BigInteger, nullable=False),  # devices that were added later are late joiners
    Index("campaign_state", "state"),
)

approval = Table(
    "approval",
    metadata,
    Column("campaign", ForeignKey("campaign.name"), primary_key=True),
    Column("who", String(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
)

course = Table(
    "course",
    metadata,
    Column("campaign", ForeignKey("campaign.name"), primary_key=True),
    Column("device", ForeignKey("device.id"), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("stage", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("rule", String(32), nullable=False),
    Column("plan", BigInteger, nullable=False),
    Column("look_at", BigInteger, nullable=False),  # when time alone may change it; 0: never
    Column("body", Text, nullable=False),  # Course
    Index("course_counts", "campaign", "stage", "model", "state", "rule"),
    Index("course_turn", "campaign", "state", "stage", "device"),
    Index("course_look", "campaign", "look_at"),
    Index("course_device", "device"),
)

plan = Table(
    "plan",
    metadata,
    Column("device", ForeignKey("device.id"), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("campaign", String(64), nullable=False),
    Column("body", Text, nullable=False),  # ota.targets.Plan
)

command = Table(
    "command",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("device", ForeignKey("device.id"), nullable=False),
    Column("plan", BigInteger, nullable=False),
    Column("campaign", String(64), nullable=False),
    Column("stage", Integer, nullable=False),
    Column("made_at", BigInteger, nullable=False),  # when it is due: what it says was issued
    Column("claimed_by", String(64), nullable=False),
    Column("claimed_until", BigInteger, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Index("command_of_plan", "device", "plan", unique=True),
    Index("command_unsent", "sent_at", "made_at", "id"),
)

report = Table(
    "report",
    metadata,
    Column("device", ForeignKey("device.id"), primary_key=True),
    Column("attempt", String(128), primary_key=True),
    Column("plan", BigInteger, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("line", Text, nullable=False),  # as it was signed
    Column("log", Text, nullable=False),
)

trail = Table(
    "trail",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("campaign", String(64), nullable=False),
    Column("line", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    Index("trail_campaign", "campaign"),
)

note = Table(
    "note",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
