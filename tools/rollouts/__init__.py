"""`wayside ota campaign serve`: the rollout engine on a broker, and the Director for whoever asks it.

messages    what came over the wire, as the engine takes it
link        the broker: hears devices, tells them of their plans
director    the HTTP server of the Director
service     all of it, in one process
"""
