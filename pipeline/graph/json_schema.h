/// A JSON Schema (draft 2020-12) of pipeline files, generated from the installed plugins, so that editors complete and
/// check them: what `weft schema` prints.
///
/// It accepts every pipeline that parse_pipeline accepts with the same catalog. It cannot see links: cycles, port types
/// and names of nodes are checked by `weft validate` alone.
/// Thread safety: no shared state.
#ifndef WEFT_PIPELINE_GRAPH_JSON_SCHEMA_H
#define WEFT_PIPELINE_GRAPH_JSON_SCHEMA_H

#include <string>

#include "pipeline/loader/catalog.h"

namespace weft {

/// Indented JSON text with a line feed at its end; equal catalogs give equal texts.
std::string json_schema(const Catalog& catalog);

}  // namespace weft
#endif
