"""Which preset is fastest on this machine: measured, checked, remembered."""
