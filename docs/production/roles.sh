#!/bin/bash
# Makes the two roles and the database: the owner, who migrates, and the application, who owns nothing.
# Runs once, on an empty PostgreSQL, as its superuser; needs POSTGRES_PASSWORD and APP_PASSWORD.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -v owner="$POSTGRES_PASSWORD" -v app="$APP_PASSWORD" --username postgres <<'SQL'
CREATE ROLE growth_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'owner';
CREATE ROLE growth_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'app';
CREATE DATABASE growth OWNER growth_owner ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0;
SQL
