"""`dora preflight`: the ten items of the deployment checklist (D-134), each with its evidence."""
