"""What kills slowly: keys and scopes that end, tiers and fees that change, schedules, disks, credentials.

One file a watcher, each with how much is left and one behaviour (frontier 4.27). Announcements are
not among them: the venue removed their endpoint (kalshi-api, 2026-07-04), so nothing asks for them.
"""
