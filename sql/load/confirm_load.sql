-- Renews the validators of the last load of a document, after the same data came in another file.
update ops.document_load
set etag = %(etag)s, last_modified = %(last_modified)s
where
    document_load_id = %(document_load_id)s
    and (etag, last_modified) is distinct from (%(etag)s::text, %(last_modified)s::text);
