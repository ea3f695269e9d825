"""The bytes of an update: fetched block by block, kept over power cuts, deltas applied, all of it verified."""
