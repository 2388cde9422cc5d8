// Type operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kTypeExpressions = {
    ExpressionRow{"$convert",          {0, kAnyNumber}, nullptr, nullptr, "aggregation/convert"},
    ExpressionRow{"$deserializeEJSON", {0, kAnyNumber}, nullptr, nullptr, "aggregation/deserializeEJSON"},
    ExpressionRow{"$isNumber",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/isNumber"},
    ExpressionRow{"$serializeEJSON",   {0, kAnyNumber}, nullptr, nullptr, "aggregation/serializeEJSON"},
    ExpressionRow{"$subtype",          {0, kAnyNumber}, nullptr, nullptr, "aggregation/subtype"},
    ExpressionRow{"$toArray",          {0, kAnyNumber}, nullptr, nullptr, "aggregation/toArray"},
    ExpressionRow{"$toBool",           {0, kAnyNumber}, nullptr, nullptr, "aggregation/toBool"},
    ExpressionRow{"$toDate",           {0, kAnyNumber}, nullptr, nullptr, "aggregation/toDate"},
    ExpressionRow{"$toDecimal",        {0, kAnyNumber}, nullptr, nullptr, "aggregation/toDecimal"},
    ExpressionRow{"$toDouble",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/toDouble"},
    ExpressionRow{"$toInt",            {0, kAnyNumber}, nullptr, nullptr, "aggregation/toInt"},
    ExpressionRow{"$toLong",           {0, kAnyNumber}, nullptr, nullptr, "aggregation/toLong"},
    ExpressionRow{"$toObject",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/toObject"},
    ExpressionRow{"$toObjectId",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/toObjectId"},
    ExpressionRow{"$toString",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/toString"},
    ExpressionRow{"$toUUID",           {0, kAnyNumber}, nullptr, nullptr, "aggregation/toUUID"},
    ExpressionRow{"$type",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/type"},
};
// clang-format on
static_assert(sorted_and_unique(kTypeExpressions));

}  // namespace

std::span<const ExpressionRow> type_expressions() { return kTypeExpressions; }

}  // namespace millrace::engine
