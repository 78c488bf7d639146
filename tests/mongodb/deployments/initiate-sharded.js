// Makes the config server and each shard a set of one, and tells mongos of the shards.
const end = Date.now() + 120000;

function eventually(what, attempt) {
  for (;;) {
    try {
      const result = attempt();
      if (result) return result;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    if (Date.now() > end) throw new Error(`${what} took more than 120 s`);
    sleep(500);
  }
}

function initiate(name, port) {
  const server = eventually(name, () => connect(`mongodb://127.0.0.1:${port}/admin?directConnection=true`));
  try {
    server.adminCommand({ replSetInitiate: { _id: name, members: [{ _id: 0, host: `127.0.0.1:${port}` }] } });
  } catch (error) {
    if (error.codeName !== "AlreadyInitialized") throw error;
  }
  eventually(`the primary of ${name}`, () => server.hello().isWritablePrimary);
}

initiate("config", 27217);
initiate("shard-1", 27218);
initiate("shard-2", 27219);
const mongos = eventually("mongos", () => connect("mongodb://127.0.0.1:27220/admin"));
for (const shard of ["shard-1/127.0.0.1:27218", "shard-2/127.0.0.1:27219"]) {
  eventually(shard, () => mongos.adminCommand({ addShard: shard }).ok);
}
print(`shards: ${mongos.adminCommand({ listShards: 1 }).shards.map((shard) => shard._id)}`);
