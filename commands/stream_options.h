// What the stream-processing commands share: reading options at the top level and under `options`,
// as the different clients send them.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "commands/command.h"
#include "engine/runtime/processor_manager.h"

namespace millrace::commands {

// The name of the processor: the value of the command's first field. Errors: 9 when it is no
// non-empty string.
engine::Result<std::string> processor_name(const Request& request);

// The fields of a command that a client may put at the top level or under `options` (mongosh
// spreads them, drivers nest them). The nested one wins.
class Options {
 public:
  // Checks that every field is known: `top` of the command itself, `either` in both places, generic
  // arguments anywhere. Errors: 9 when `options` is no object, 40415 for an unknown field of the
  // command; unknown fields under `options` likewise.
  static engine::Result<Options> read(const Request& request,
                                      std::initializer_list<std::string_view> top,
                                      std::initializer_list<std::string_view> either);

  // Whether it is there, be it null.
  bool given(std::string_view field) const;
  // The value; missing when it is not given, or null.
  engine::Value get(std::string_view field) const;
  // Errors: 14 TypeMismatch.
  engine::Result<bool> boolean(std::string_view field, bool otherwise) const;
  engine::Result<std::string> string(std::string_view field) const;  // "" when not given
  engine::Result<int64_t> integer(std::string_view field, int64_t otherwise) const;
  engine::Result<engine::Document> document(std::string_view field) const;  // {} when not given

 private:
  engine::Value body_;
  engine::Value options_;
};

// {pipeline: [...]} from an array. Errors: 9 when it is not an array of documents or is empty.
engine::Result<engine::Document> wrap_pipeline(const engine::Value& pipeline);

// autoscaling: {enabled: bool, minTier?, maxTier?}; null and {} mean off. Errors: 72.
engine::Result<engine::Document> read_autoscaling(const engine::Value& spec);

// Between what tiers an autoscaled processor may move; what it does not say follows from the
// workspace and from its own tier.
struct TierBounds {
  std::string min;
  std::string max;
};
// Requires: autoscaling.enabled; `tier` is one.
TierBounds tier_bounds(const engine::WorkspaceSettings& workspace, std::string_view tier,
                       const engine::Document& autoscaling);

// Errors: 72 when `tier` is outside the bounds.
engine::Status check_within(std::string_view tier, const TierBounds& bounds);

// Whether a processor may run with `tier`: no larger than the workspace allows, and within its own
// bounds if it is autoscaled. Errors: 72.
engine::Status check_tier_allowed(const engine::WorkspaceSettings& workspace, std::string_view tier,
                                  const engine::Document& autoscaling);

// The options of create and process that make a definition.
engine::Status read_definition_options(const Options& options, engine::CreateOptions* create);

// Whose temporary processor it is.
engine::TemporaryOwner owner_of(const Request& request);

// An entry of listStreamProcessors and the fields of getStreamProcessor.
void append_list_entry(const engine::ProcessorManager::Snapshot& snapshot,
                       engine::BsonWriter& entry);

}  // namespace millrace::commands
