// Operators that fit no other family.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kMiscellaneousExpressions = {
    ExpressionRow{"$binarySize",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/binarySize"},
    ExpressionRow{"$bsonSize",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/bsonSize"},
    ExpressionRow{"$createObjectId",   {0, kAnyNumber}, nullptr, nullptr, "aggregation/createObjectId"},
    ExpressionRow{"$createUUID",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/createUUID"},
    ExpressionRow{"$currentDate",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/currentDate"},
    ExpressionRow{"$hash",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/hash"},
    ExpressionRow{"$hexHash",          {0, kAnyNumber}, nullptr, nullptr, "aggregation/hexHash"},
    ExpressionRow{"$meta",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/meta"},
    ExpressionRow{"$rand",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/rand"},
    ExpressionRow{"$sampleRate",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/sampleRate"},
    ExpressionRow{"$toHashedIndexKey", {0, kAnyNumber}, nullptr, nullptr, "aggregation/toHashedIndexKey"},
    ExpressionRow{"$tsIncrement",      {0, kAnyNumber}, nullptr, nullptr, "aggregation/tsIncrement"},
    ExpressionRow{"$tsSecond",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/tsSecond"},
};
// clang-format on
static_assert(sorted_and_unique(kMiscellaneousExpressions));

}  // namespace

std::span<const ExpressionRow> miscellaneous_expressions() { return kMiscellaneousExpressions; }

}  // namespace millrace::engine
