"""What kills slowly: keys and scopes that end, tiers and fees that change, schedules, disks, credentials."""
