"""The signing side: keys, ceremony, releases, the Director. Nothing of it is needed on a device.

keys.py roles.py signatures.py      who may say what, and how they say it
ceremony.py key_changes.py          each step as a `ChangeSet` (change_set.py): looked at first, then applied
build.py image_tar.py bom.py        from a folder to what is fetched; release.py stages it
publish.py verify.py inspection.py  from what waits to what is served; is it right, down to the last byte
director.py planning.py bundle.py   what a device is to run: signed, served, on a stick
layout.py workspace.py trail.py     the folder that it all lies in, and what was done and refused there
"""
