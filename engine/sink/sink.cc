#include "engine/sink/sink.h"

namespace millrace::engine {
namespace {

// Takes back what an append that failed half-way has left: only a document nested deeper than any
// can be gets here.
void rewind(BsonWriter& writer, size_t size) {
  std::string kept(writer.bytes().substr(0, size));
  writer.clear();
  writer.append_raw(kept);
}

}  // namespace

void SinkEncoder::append(const Value& document, OutputBatch& batch, const Value& route) {
  size_t document_begin = batch.documents.size();
  size_t route_begin = batch.routes.size();
  try {
    batch.documents.append_document(document);
    if (!route.is_missing()) batch.routes.append_document(route);
  } catch (const EvaluationError&) {
    rewind(batch.documents, document_begin);
    rewind(batch.routes, route_begin);
    throw;
  }
  batch.items.push_back({static_cast<uint32_t>(document_begin),
                         static_cast<uint32_t>(batch.documents.size() - document_begin),
                         static_cast<uint32_t>(route_begin),
                         static_cast<uint32_t>(batch.routes.size() - route_begin)});
}

}  // namespace millrace::engine
