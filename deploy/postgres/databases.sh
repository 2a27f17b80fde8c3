#!/bin/sh
# Makes the databases when the server starts for the first time: the warehouse, the state of the
# running average, and Dagster's history. They belong to a user who may do nothing else; the service
# reads the warehouse as another one, who may only read.
set -eu
psql --username "$POSTGRES_USER" --set ON_ERROR_STOP=1 --set password="$WAREHOUSE_PASSWORD" \
    --set reader_password="$READER_PASSWORD" <<'SQL'
CREATE ROLE warehouse LOGIN PASSWORD :'password';
CREATE ROLE analysts NOLOGIN;
CREATE ROLE reader LOGIN PASSWORD :'reader_password' IN ROLE analysts;
CREATE DATABASE warehouse OWNER warehouse ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE state OWNER warehouse ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE dagster OWNER warehouse ENCODING 'UTF8' TEMPLATE template0;
\connect warehouse
-- Whoever is made a member of analysts may read what is published, now and later.
GRANT USAGE ON SCHEMA public TO analysts;
ALTER DEFAULT PRIVILEGES FOR ROLE warehouse IN SCHEMA public GRANT SELECT ON TABLES TO analysts;
SQL
