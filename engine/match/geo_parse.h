// Geometries out of values: GeoJSON objects and legacy coordinate pairs, with MongoDB's rules and
// errors (2 BadValue throughout). Sources: https://www.mongodb.com/docs/manual/reference/geojson/,
// RFC 7946, details seen with MongoDB 6.0.5.
#pragma once

#include <vector>

#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::engine {

// Longitude and latitude in degrees, or a place on a plane.
struct GeoPoint {
  double x = 0;
  double y = 0;
  bool operator==(const GeoPoint&) const = default;
};
inline bool is_on_globe(const GeoPoint& p) {
  return p.x >= -180 && p.x <= 180 && p.y >= -90 && p.y <= 90;
}

using GeoLine = std::vector<GeoPoint>;
// The outer ring, then the holes; each ring closed.
using GeoPolygon = std::vector<GeoLine>;

// A geometry taken apart: a MultiPolygon is its polygons, a GeometryCollection all that is in it.
struct GeoParts {
  std::vector<GeoPoint> points;
  std::vector<GeoLine> lines;
  std::vector<GeoPolygon> polygons;
  bool legacy = false;          // a coordinate pair: its one point may be anywhere on a plane
  bool geojson_point = false;   // type Point: also a place on a plane
  bool strict_winding = false;  // a polygon whose inside is on the left of its ring, however large
};

// [x, y] or {…: x, …: y}. `allow_more`: what follows is ignored.
Result<GeoPoint> parse_geo_pair(const Value& value, bool allow_more);
// A GeoJSON object or a legacy pair. Rings are closed and have three different points, but may
// still cross themselves.
Result<GeoParts> parse_geometry(const Value& value);

}  // namespace millrace::engine
