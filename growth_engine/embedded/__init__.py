"""PostgreSQL and Valkey from wheels, web, workers and cron: one process tree, clean stop."""
