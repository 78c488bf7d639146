// Runs once, on an empty volume. The service's own user may read and write its database and no other; the exporter's may
// look at the server and change nothing.
db.getSiblingDB(process.env.MYLIST_DATABASE).createUser({
  user: process.env.MYLIST_USER,
  pwd: process.env.MYLIST_PASSWORD,
  roles: [{ role: "readWrite", db: process.env.MYLIST_DATABASE }],
});
if (process.env.EXPORTER_PASSWORD) {
  db.getSiblingDB("admin").createUser({
    user: "exporter",
    pwd: process.env.EXPORTER_PASSWORD,
    roles: [{ role: "clusterMonitor", db: "admin" }],
  });
}
