"""The steps that a trail store on a server took; a released one never changes."""
