#include "engine/match/geo_parse.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

constexpr int kMaxCollectionDepth = 100;

Status bad(const std::string& why) { return Status(ErrorCode::kBadValue, why); }

// The start of a value, for messages.
std::string shown(const Value& value) {
  std::string text = to_json(value);
  if (text.size() > 150) text.replace(150, std::string::npos, "...");
  return text;
}

Result<GeoPoint> parse_position(const Value& value) {
  MR_ASSIGN_OR_RETURN(GeoPoint point, parse_geo_pair(value, true));
  if (!is_on_globe(point)) {
    return bad("longitude/latitude is out of bounds, lng: " + std::to_string(point.x) +
               " lat: " + std::to_string(point.y));
  }
  return point;
}

// Without points that repeat the one before.
Result<GeoLine> parse_positions(const Value& coordinates, const char* what) {
  if (!coordinates.is_array()) return bad(std::string(what) + " coordinates must be an array");
  GeoLine line;
  for (const Value& element : coordinates.as_array()) {
    MR_ASSIGN_OR_RETURN(GeoPoint point, parse_position(element));
    if (line.empty() || !(line.back() == point)) line.push_back(point);
  }
  return line;
}

Result<GeoLine> parse_line(const Value& coordinates) {
  MR_ASSIGN_OR_RETURN(GeoLine line, parse_positions(coordinates, "LineString"));
  if (line.size() < 2)
    return bad("GeoJSON LineString must have at least 2 vertices: " + shown(coordinates));
  return line;
}

Result<GeoLine> parse_ring(const Value& coordinates) {
  if (!coordinates.is_array()) return bad("Polygon coordinates must be an array");
  if (coordinates.as_array().empty()) return bad("Loop has no vertices: " + shown(coordinates));
  MR_ASSIGN_OR_RETURN(GeoLine ring, parse_positions(coordinates, "Polygon"));
  if (ring.size() > 1 ? !(ring.front() == ring.back()) : coordinates.as_array().size() < 2)
    return bad("Loop is not closed: " + shown(coordinates));
  if (ring.size() < 4)
    return bad("Loop must have at least 3 different vertices: " + shown(coordinates));
  return ring;
}

Result<GeoPolygon> parse_polygon(const Value& coordinates) {
  if (!coordinates.is_array()) return bad("Polygon coordinates must be an array");
  GeoPolygon polygon;
  for (const Value& element : coordinates.as_array()) {
    MR_ASSIGN_OR_RETURN(GeoLine ring, parse_ring(element));
    polygon.push_back(std::move(ring));
  }
  if (polygon.empty()) return bad("Polygon has no loops.");
  return polygon;
}

// The elements of a Multi… type, each read by `parse` into `to`.
template <typename T, typename Parse>
Status parse_many(const Value& coordinates, const std::string& type, Parse parse,
                  std::vector<T>& to) {
  if (!coordinates.is_array()) return bad(type + " coordinates must be an array");
  for (const Value& element : coordinates.as_array()) {
    MR_ASSIGN_OR_RETURN(T part, parse(element));
    to.push_back(std::move(part));
  }
  if (to.empty()) return bad(type + " coordinates must have at least 1 element");
  return {};
}

// {type: "name", properties: {name: …}}. Errors: a reference system that MongoDB does not know.
Status parse_reference_system(const Value& crs, const std::string& type, GeoParts& parts) {
  constexpr std::string_view kStrict = "urn:x-mongodb:crs:strictwinding:EPSG:4326";
  if (crs.is_missing()) return {};
  if (!crs.is_object()) return bad("GeoJSON CRS must be an object");
  Value kind = crs.as_object().get("type");
  if (!kind.is_string() || kind.as_string() != "name")
    return bad("GeoJSON CRS must have field \"type\": \"name\"");
  Value properties = crs.as_object().get("properties");
  if (!properties.is_object()) return bad("CRS must have field \"properties\" which is an object");
  Value name = properties.as_object().get("name");
  if (!name.is_string()) return bad("In CRS, \"properties.name\" must be a string");
  if (name.as_string() == kStrict) {
    if (type != "Polygon") return bad("Strict winding order is only supported by polygon");
    parts.strict_winding = true;
    return {};
  }
  if (name.as_string() != "urn:ogc:def:crs:OGC:1.3:CRS84" && name.as_string() != "EPSG:4326")
    return bad("Unknown CRS name: " + std::string(name.as_string()));
  return {};
}

bool is_geojson_type(std::string_view type) {
  static constexpr std::array kTypes = {
      "Point",        "LineString",      "Polygon",           "MultiPoint",
      "MultiPolygon", "MultiLineString", "GeometryCollection"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

// Adds what the object is made of to `parts`.
Status parse_object(ObjectView object, const std::string& type, int depth, GeoParts& parts) {
  MR_RETURN_IF_ERROR(parse_reference_system(object.get("crs"), type, parts));
  Value coordinates = object.get("coordinates");
  if (type == "Point") {
    MR_ASSIGN_OR_RETURN(GeoPoint point, parse_position(coordinates));
    parts.points.push_back(point);
    return {};
  }
  if (type == "LineString") {
    MR_ASSIGN_OR_RETURN(GeoLine line, parse_line(coordinates));
    parts.lines.push_back(std::move(line));
    return {};
  }
  if (type == "Polygon") {
    MR_ASSIGN_OR_RETURN(GeoPolygon polygon, parse_polygon(coordinates));
    if (parts.strict_winding && polygon.size() > 1)
      return bad("Only one simple loop is allowed in a big polygon");
    parts.polygons.push_back(std::move(polygon));
    return {};
  }
  if (type == "MultiPoint") return parse_many(coordinates, type, parse_position, parts.points);
  if (type == "MultiLineString") return parse_many(coordinates, type, parse_line, parts.lines);
  if (type == "MultiPolygon") return parse_many(coordinates, type, parse_polygon, parts.polygons);

  Value geometries = object.get("geometries");
  if (!geometries.is_array()) return bad("GeometryCollection geometries must be an array");
  if (geometries.as_array().empty())
    return bad("GeometryCollection geometries must have at least 1 element");
  if (depth >= kMaxCollectionDepth) return bad("GeometryCollections are nested too deeply");
  for (const Value& element : geometries.as_array()) {
    Value inner = element.is_object() ? element.as_object().get("type") : Value();
    if (!inner.is_string() || !is_geojson_type(inner.as_string()))
      return bad("Element of \"geometries\" is not a GeoJSON object: " + shown(element));
    // Each element is whole in itself: what a Multi type must not lack, it must not lack here.
    GeoParts own;
    MR_RETURN_IF_ERROR(
        parse_object(element.as_object(), std::string(inner.as_string()), depth + 1, own));
    std::move(own.points.begin(), own.points.end(), std::back_inserter(parts.points));
    std::move(own.lines.begin(), own.lines.end(), std::back_inserter(parts.lines));
    std::move(own.polygons.begin(), own.polygons.end(), std::back_inserter(parts.polygons));
  }
  return {};
}

}  // namespace

Result<GeoPoint> parse_geo_pair(const Value& value, bool allow_more) {
  if (!value.is_array() && !value.is_object()) return bad("Point must be an array or object");
  GeoPoint point;
  size_t count = 0;
  auto take = [&](const Value& element) -> Status {
    if (count < 2) {
      if (!element.is_number()) return bad("Point must only contain numeric elements");
      (count == 0 ? point.x : point.y) = element.to_double();
    } else if (!allow_more) {
      return bad("Point must only contain two numeric elements");
    }
    ++count;
    return {};
  };
  if (value.is_array()) {
    for (const Value& element : value.as_array()) MR_RETURN_IF_ERROR(take(element));
  } else {
    for (const Field& field : value.as_object()) MR_RETURN_IF_ERROR(take(field.value));
  }
  if (count < 2) return bad("Point must only contain numeric elements");
  if (!std::isfinite(point.x) || !std::isfinite(point.y))
    return bad("Point coordinates must be finite numbers");
  return point;
}

Result<GeoParts> parse_geometry(const Value& value) {
  GeoParts parts;
  Value type = value.is_object() ? value.as_object().get("type") : Value();
  if (type.is_string() && is_geojson_type(type.as_string())) {
    parts.geojson_point = type.as_string() == "Point";
    MR_RETURN_IF_ERROR(parse_object(value.as_object(), std::string(type.as_string()), 0, parts));
    return parts;
  }
  auto point = parse_geo_pair(value, true);
  if (!point.ok()) {
    if (value.is_object()) return bad("unknown GeoJSON type: " + shown(value));
    return point.status();
  }
  parts.points.push_back(*point);
  parts.legacy = true;
  return parts;
}

}  // namespace millrace::engine
