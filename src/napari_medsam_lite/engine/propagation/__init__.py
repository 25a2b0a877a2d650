"""Boxes that travel through a volume, each mask giving the next slice's box."""
