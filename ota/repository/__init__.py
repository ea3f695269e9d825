"""The signing side: keys, ceremony, releases, the Director. Nothing of it is needed on a device."""
