-- A neutralised database is another one than it was made of, even under the same name and with the
-- same identifier: it says so, and starts a log of its own when it is loaded.
UPDATE network_audit_copy
   SET database_uuid = 'neutralized'
 WHERE database_uuid IS NOT NULL;
