"""MongoDB by a script: a proxy in front of a server of this machine that behaves like real deployments.

    with running(server := MongoServer(folder)), ScriptedMongoDB(server.uri) as mongodb:
        Service(folder, {"MONGODB_URI": mongodb.uri("faults"), …})
        mongodb.fail_command("update", code=91, count=2)
        mongodb.lose_majority()
        mongodb.step_down(successor=1, after_s=2)

`in_process(server.uri)` runs it in a process of its own, with the same methods.

Clients see a replica set of three (or mongos, a standalone, DocumentDB: `Topology`) whose members are all this one
server, and drivers follow its elections as they follow real ones. `ScriptedMongoDB` has all that can be scripted.
"""

from devtools.scripted_mongodb.hello import Topology
from devtools.scripted_mongodb.process import in_process
from devtools.scripted_mongodb.scripted_mongodb import ScriptedMongoDB

__all__ = ["ScriptedMongoDB", "Topology", "in_process"]
