"""Updates: trust, payload, slots and rollouts.

This package is the home of the update client, the slot machine and the signing side. It imports none of the other
packages; `edge` may call it. Nothing of it is built yet: only this page stands here.
"""
