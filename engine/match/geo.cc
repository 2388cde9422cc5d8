// Geospatial operators. Those that sort by distance are refused everywhere in a stream, the others
// are not supported yet.
#include "engine/match/registry.h"

namespace millrace::engine {
namespace {

// 5626500: what the server answers to the operators that need an index and an order of distance
// where there is neither.
Result<std::optional<FieldCondition>> refuse_near(const FieldOperator& field, QueryParse& parse) {
  return Status(5626500,
                std::string(field.name) + " is not allowed in " + std::string(parse.options.place));
}

// clang-format off
constexpr std::array kGeoQueries = {
    //       name              query    field        manual page             argument only
    QueryRow{"$box",           nullptr, nullptr,     "query/box",            true},
    QueryRow{"$center",        nullptr, nullptr,     "query/center",         true},
    QueryRow{"$centerSphere",  nullptr, nullptr,     "query/centerSphere",   true},
    QueryRow{"$geoIntersects", nullptr, nullptr,     "query/geoIntersects"},
    QueryRow{"$geoWithin",     nullptr, nullptr,     "query/geoWithin"},
    QueryRow{"$geometry",      nullptr, nullptr,     "query/geometry",       true},
    QueryRow{"$maxDistance",   nullptr, nullptr,     "query/maxDistance",    true},
    QueryRow{"$minDistance",   nullptr, nullptr,     "query/minDistance",    true},
    QueryRow{"$near",          nullptr, refuse_near, "query/near"},
    QueryRow{"$nearSphere",    nullptr, refuse_near, "query/nearSphere"},
    QueryRow{"$polygon",       nullptr, nullptr,     "query/polygon",        true},
    QueryRow{"$uniqueDocs",    nullptr, nullptr,     "query/geoWithin",      true},
};
// clang-format on
static_assert(sorted_and_unique(kGeoQueries));

}  // namespace

std::span<const QueryRow> geo_queries() { return kGeoQueries; }

}  // namespace millrace::engine
