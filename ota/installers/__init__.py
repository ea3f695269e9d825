"""How an image gets into a slot, one file a kind of target, behind one interface."""
