// Geospatial operators: $geoWithin and $geoIntersects. Those that sort by distance are refused
// everywhere in a stream. Source:
// https://www.mongodb.com/docs/manual/reference/operator/query-geospatial/
#include <cmath>

#include "engine/document/extended_json.h"
#include "engine/match/flat_polygon.h"
#include "engine/match/registry.h"
#include "engine/match/spherical_shape.h"

namespace millrace::engine {
namespace {

Status bad(const std::string& why) { return Status(ErrorCode::kBadValue, why); }

// ---- What a query compares with

class Region {
 public:
  virtual ~Region() = default;
  // Whether $geoWithin and $geoIntersects can use it.
  virtual bool can_contain() const { return true; }
  virtual bool can_intersect() const { return false; }
  virtual bool contains(const GeoParts& geometry) const = 0;
  virtual bool intersects(const GeoParts&) const { return false; }
};
using RegionPtr = std::unique_ptr<Region>;

// A shape on a plane: only points can be in it, GeoJSON ones too.
class FlatRegion : public Region {
 public:
  bool contains(const GeoParts& geometry) const final {
    return (geometry.legacy || geometry.geojson_point) && contains_point(geometry.points[0]);
  }

 protected:
  virtual bool contains_point(const GeoPoint& point) const = 0;
};

class BoxRegion final : public FlatRegion {
 public:
  BoxRegion(const GeoPoint& a, const GeoPoint& b)
      : low_{std::min(a.x, b.x), std::min(a.y, b.y)},
        high_{std::max(a.x, b.x), std::max(a.y, b.y)} {}

 protected:
  bool contains_point(const GeoPoint& p) const override {
    return p.x >= low_.x && p.x <= high_.x && p.y >= low_.y && p.y <= high_.y;
  }

 private:
  GeoPoint low_;
  GeoPoint high_;
};

class CircleRegion final : public FlatRegion {
 public:
  CircleRegion(const GeoPoint& center, double radius) : center_(center), radius_(radius) {}

 protected:
  bool contains_point(const GeoPoint& p) const override {
    return std::hypot(p.x - center_.x, p.y - center_.y) <= radius_;
  }

 private:
  GeoPoint center_;
  double radius_;
};

class PolygonRegion final : public FlatRegion {
 public:
  explicit PolygonRegion(GeoLine corners) : polygon_(std::move(corners)) {}

 protected:
  bool contains_point(const GeoPoint& p) const override { return polygon_.contains(p); }

 private:
  FlatPolygon polygon_;
};

// The geometry of a document on the globe, or nullopt if it has none there.
std::optional<SphericalShape> on_globe(const GeoParts& geometry) {
  if (geometry.strict_winding) return std::nullopt;  // documents never match with that
  auto shape = SphericalShape::make(geometry);
  if (!shape.ok()) return std::nullopt;
  return std::move(*shape);
}

class CapRegion final : public Region {
 public:
  CapRegion(const GeoPoint& center, double radius) : center_(center), radius_(radius) {}
  bool can_intersect() const override { return true; }
  bool contains(const GeoParts& geometry) const override {
    auto shape = on_globe(geometry);
    return shape && shape->within(center_, radius_);
  }

 private:
  GeoPoint center_;
  double radius_;
};

class GeometryRegion final : public Region {
 public:
  explicit GeometryRegion(SphericalShape shape) : shape_(std::move(shape)) {}
  bool can_contain() const override { return shape_.is_area(); }
  bool can_intersect() const override { return true; }
  bool contains(const GeoParts& geometry) const override {
    auto other = on_globe(geometry);
    return other && shape_.contains(*other);
  }
  bool intersects(const GeoParts& geometry) const override {
    auto other = on_globe(geometry);
    return other && shape_.intersects(*other);
  }

 private:
  SphericalShape shape_;
};

// ---- Parsing

// The elements of an array, or the values of a document: MongoDB takes either.
std::vector<Value> values_of(const Value& value) {
  std::vector<Value> values;
  if (value.is_array()) {
    for (const Value& element : value.as_array()) values.push_back(element);
  } else {
    for (const Field& field : value.as_object()) values.push_back(field.value);
  }
  return values;
}

Result<RegionPtr> parse_box(const Value& spec) {
  std::vector<Value> corners = values_of(spec);
  corners.resize(std::max<size_t>(2, corners.size()));
  MR_ASSIGN_OR_RETURN(GeoPoint a, parse_geo_pair(corners[0], false));
  MR_ASSIGN_OR_RETURN(GeoPoint b, parse_geo_pair(corners[1], false));
  return RegionPtr(std::make_unique<BoxRegion>(a, b));
}

Result<RegionPtr> parse_flat_polygon(const Value& spec) {
  GeoLine ring;
  for (const Value& corner : values_of(spec)) {
    MR_ASSIGN_OR_RETURN(GeoPoint point, parse_geo_pair(corner, false));
    ring.push_back(point);
  }
  if (ring.size() < 3) return bad("Polygon must have at least 3 points");
  return RegionPtr(std::make_unique<PolygonRegion>(std::move(ring)));
}

// [center, radius]
template <typename Shape>
Result<RegionPtr> parse_circle(const Value& spec, bool on_globe) {
  std::vector<Value> parts = values_of(spec);
  parts.resize(std::max<size_t>(2, parts.size()));
  MR_ASSIGN_OR_RETURN(GeoPoint center, parse_geo_pair(parts[0], false));
  if (on_globe && !is_on_globe(center)) {
    return bad("longitude/latitude is out of bounds, lng: " + std::to_string(center.x) +
               " lat: " + std::to_string(center.y));
  }
  if (!parts[1].is_number() || !(parts[1].to_double() >= 0))
    return bad("radius must be a non-negative number");
  if (parts.size() > 2) return bad("Only 2 fields allowed for circular region");
  return RegionPtr(std::make_unique<Shape>(center, parts[1].to_double()));
}

Result<RegionPtr> parse_geojson_region(const Value& spec) {
  MR_ASSIGN_OR_RETURN(GeoParts parts, parse_geometry(spec));
  MR_ASSIGN_OR_RETURN(SphericalShape shape, SphericalShape::make(parts));
  return RegionPtr(std::make_unique<GeometryRegion>(std::move(shape)));
}

// Of several shapes the last counts.
Result<RegionPtr> parse_region(const Value& operand) {
  if (!operand.is_object()) return bad("geometry must be an object");
  RegionPtr region;
  for (const Field& field : operand.as_object()) {
    if (field.name() == "$uniqueDocs") continue;
    bool shape = field.value.is_object() || field.value.is_array();
    if (shape && field.name() == "$geometry") {
      MR_ASSIGN_OR_RETURN(region, parse_geojson_region(field.value));
    } else if (shape && field.name() == "$box") {
      MR_ASSIGN_OR_RETURN(region, parse_box(field.value));
    } else if (shape && field.name() == "$polygon") {
      MR_ASSIGN_OR_RETURN(region, parse_flat_polygon(field.value));
    } else if (shape && field.name() == "$center") {
      MR_ASSIGN_OR_RETURN(region, parse_circle<CircleRegion>(field.value, false));
    } else if (shape && field.name() == "$centerSphere") {
      MR_ASSIGN_OR_RETURN(region, parse_circle<CapRegion>(field.value, true));
    } else {
      return bad("unknown geo specifier: " + std::string(field.name()) + ": " +
                 to_json(field.value));
    }
  }
  if (region == nullptr) return bad("geo query doesn't have any geometry");
  return region;
}

// Documents without a valid geometry never match.
class GeoTest final : public ValueTest {
 public:
  GeoTest(RegionPtr region, bool within) : region_(std::move(region)), within_(within) {}
  bool test(const Value& value, EvalContext&) const override {
    if (!value.is_object() && !value.is_array()) return false;
    auto geometry = parse_geometry(value);
    if (!geometry.ok()) return false;
    return within_ ? region_->contains(*geometry) : region_->intersects(*geometry);
  }

 private:
  RegionPtr region_;
  bool within_;
};

template <bool kWithin>
Result<std::optional<FieldCondition>> parse_geo(const FieldOperator& field, QueryParse&) {
  MR_ASSIGN_OR_RETURN(RegionPtr region, parse_region(field.operand));
  if (kWithin ? !region->can_contain() : !region->can_intersect()) {
    return bad(std::string(field.name) +
               " not supported with provided geometry: " + to_json(field.operand));
  }
  FieldCondition condition;
  condition.test = std::make_unique<GeoTest>(std::move(region), kWithin);
  return std::optional(std::move(condition));
}

// 5626500: what the server answers to the operators that need an index and an order of distance
// where there is neither. What is no point at all it does not take for such a query.
Result<std::optional<FieldCondition>> refuse_near(const FieldOperator& field, QueryParse& parse) {
  if (!field.operand.is_object() && !field.operand.is_array()) {
    return bad(std::string(field.name) + " takes a point, not " + to_json(field.operand));
  }
  return Status(5626500,
                std::string(field.name) + " is not allowed in " + std::string(parse.options.place));
}

// clang-format off
constexpr std::array kGeoQueries = {
    //       name              query    field             manual page             argument only
    QueryRow{"$box",           nullptr, nullptr,          "query/box",            true},
    QueryRow{"$center",        nullptr, nullptr,          "query/center",         true},
    QueryRow{"$centerSphere",  nullptr, nullptr,          "query/centerSphere",   true},
    QueryRow{"$geoIntersects", nullptr, parse_geo<false>, "query/geoIntersects"},
    QueryRow{"$geoWithin",     nullptr, parse_geo<true>,  "query/geoWithin"},
    QueryRow{"$geometry",      nullptr, nullptr,          "query/geometry",       true},
    QueryRow{"$maxDistance",   nullptr, nullptr,          "query/maxDistance",    true},
    QueryRow{"$minDistance",   nullptr, nullptr,          "query/minDistance",    true},
    QueryRow{"$near",          nullptr, refuse_near,      "query/near"},
    QueryRow{"$nearSphere",    nullptr, refuse_near,      "query/nearSphere"},
    QueryRow{"$polygon",       nullptr, nullptr,          "query/polygon",        true},
    QueryRow{"$uniqueDocs",    nullptr, nullptr,          "query/geoWithin",      true},
};
// clang-format on
static_assert(sorted_and_unique(kGeoQueries));

}  // namespace

std::span<const QueryRow> geo_queries() { return kGeoQueries; }

}  // namespace millrace::engine
