// $serializeEJSON and $deserializeEJSON (MongoDB 8.3): Extended JSON as values, not as text.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/serializeEJSON/
#pragma once

#include <string_view>

#include "engine/expression/expression.h"

namespace millrace::engine {

// {input: …, relaxed: …, onError: …}. Errors: 9 for a malformed operand, 2 for a `relaxed` that is
// no boolean; when evaluated 241, which onError catches.
Result<ExpressionPtr> parse_serialize_ejson(std::string_view name, const Value& operand,
                                            ParseContext& context);
// {input: …, onError: …}. Errors as above.
Result<ExpressionPtr> parse_deserialize_ejson(std::string_view name, const Value& operand,
                                              ParseContext& context);

}  // namespace millrace::engine
