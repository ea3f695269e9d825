"""The device's side of a hawkBit server: which release, when, with what urgency. Whether to trust it is not asked here.

hawkBit's Direct Device Integration API (DDI), https://eclipse.dev/hawkbit/rest-api/ddi/. Nothing that the server says
moves a slot: it is mapped to names of the image repository, whose signatures decide.
"""
