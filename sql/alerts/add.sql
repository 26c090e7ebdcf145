-- What was told.
insert into ops.alert (scope, trouble, message)
values (%(scope)s, %(trouble)s, %(message)s);
