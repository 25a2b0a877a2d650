"""LiteMedSAM as published, and its checkpoint."""
