// Array operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kArrayExpressions = {
    ExpressionRow{"$arrayElemAt",          {0, kAnyNumber}, nullptr, nullptr, "aggregation/arrayElemAt"},
    ExpressionRow{"$arrayToObject",        {0, kAnyNumber}, nullptr, nullptr, "aggregation/arrayToObject"},
    ExpressionRow{"$concatArrays",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/concatArrays"},
    ExpressionRow{"$filter",               {0, kAnyNumber}, nullptr, nullptr, "aggregation/filter"},
    ExpressionRow{"$in",                   {0, kAnyNumber}, nullptr, nullptr, "aggregation/in"},
    ExpressionRow{"$indexOfArray",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/indexOfArray"},
    ExpressionRow{"$isArray",              {0, kAnyNumber}, nullptr, nullptr, "aggregation/isArray"},
    ExpressionRow{"$map",                  {0, kAnyNumber}, nullptr, nullptr, "aggregation/map"},
    ExpressionRow{"$range",                {0, kAnyNumber}, nullptr, nullptr, "aggregation/range"},
    ExpressionRow{"$reduce",               {0, kAnyNumber}, nullptr, nullptr, "aggregation/reduce"},
    ExpressionRow{"$reverseArray",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/reverseArray"},
    ExpressionRow{"$similarityCosine",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/similarityCosine"},
    ExpressionRow{"$similarityDotProduct", {0, kAnyNumber}, nullptr, nullptr, "aggregation/similarityDotProduct"},
    ExpressionRow{"$similarityEuclidean",  {0, kAnyNumber}, nullptr, nullptr, "aggregation/similarityEuclidean"},
    ExpressionRow{"$size",                 {0, kAnyNumber}, nullptr, nullptr, "aggregation/size"},
    ExpressionRow{"$slice",                {0, kAnyNumber}, nullptr, nullptr, "aggregation/slice"},
    ExpressionRow{"$sortArray",            {0, kAnyNumber}, nullptr, nullptr, "aggregation/sortArray"},
    ExpressionRow{"$zip",                  {0, kAnyNumber}, nullptr, nullptr, "aggregation/zip"},
};
// clang-format on
static_assert(sorted_and_unique(kArrayExpressions));

}  // namespace

std::span<const ExpressionRow> array_expressions() { return kArrayExpressions; }

}  // namespace millrace::engine
