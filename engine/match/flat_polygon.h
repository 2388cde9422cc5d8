// A polygon on a plane ($geoWithin with $polygon).
#pragma once

#include "engine/match/geo_parse.h"

namespace millrace::engine {

class FlatPolygon {
 public:
  // The corners in order, the first not repeated at the end or repeated.
  explicit FlatPolygon(GeoLine corners) : corners_(std::move(corners)) {}

  // By the even-odd rule, so that what an outline goes around twice is outside. Corners and points
  // on horizontal and vertical edges are inside; on slanted edges a point belongs to the one side
  // only (seen with MongoDB 6.0.5, which counts the crossings of a ray to the right).
  bool contains(const GeoPoint& point) const;

 private:
  GeoLine corners_;
};

}  // namespace millrace::engine
