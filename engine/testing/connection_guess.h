// Which connections a tested processor finds: stand-ins under every name that its definition uses.
#pragma once

#include <string>
#include <vector>

#include "engine/connection/registry.h"
#include "engine/runtime/definition.h"

namespace millrace::engine {

// Puts a connection for every connectionName of the pipeline and of the dead letter queue into
// `registry`. `given` is what the case says: {name: "Kafka"} or {name: {type: "Kafka", …}} (the
// Admin API's fields), or missing; for other names the type follows from the use: `topic` means
// Kafka; `db` or `coll`, $merge and dlq mean Cluster; a $source with nothing of that is Sample.
// Errors: 2 BadValue for a `given` that is no such thing, and for a name used in two ways.
Status add_stand_in_connections(const Value& pipeline, const DeadLetterOptions& dlq,
                                const Value& given, ConnectionRegistry& registry);

}  // namespace millrace::engine
