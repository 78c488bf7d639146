// Makes a replica set of the members on PORTS, and waits for its primary; the member on ARBITER votes and has no data.
const ports = process.env.PORTS.split(",");
const members = ports.map((port, number) => ({
  _id: number,
  host: `127.0.0.1:${port}`,
  arbiterOnly: port === process.env.ARBITER,
  priority: port === process.env.ARBITER ? 0 : 1,
}));
const first = connect(`mongodb://${members[0].host}/admin?directConnection=true`);
try {
  first.adminCommand({ replSetInitiate: { _id: "rs0", members } });
} catch (error) {
  if (error.codeName !== "AlreadyInitialized") throw error;
}
const end = Date.now() + 60000;
while (!first.hello().primary) {
  if (Date.now() > end) throw new Error("no primary after 60 s");
  sleep(200);
}
print(`primary: ${first.hello().primary}`);
