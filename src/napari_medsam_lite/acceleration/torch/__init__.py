"""The network in torch: as published, folded, compiled, in fewer bits. Imports torch."""
