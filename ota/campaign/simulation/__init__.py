"""A campaign tried on a fleet that does not exist, before it is tried on one that does.

    fleet    the models of devices, what is wrong with the release, the campaign that is tried where none is given
    world    the devices: links, offline spells, what becomes of each; the only place where chance is
    desk     the operator's side: asks the decision core, and does what it says
    run      both on one queue of events in virtual time

No decision is made here: what stands in `ota.campaign.selection`, `conditions`, `course` and `judge` is run as it is.
"""
