"""Ways to get spikes: recordings, emulated cameras, networks of other frameworks, random ones."""
