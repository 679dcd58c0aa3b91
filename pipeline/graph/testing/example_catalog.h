/// Descriptors for tests of everything that looks at pipelines without running them: a made-up installation with ports and
/// parameters of every kind. No library stands behind it.
///
///   text.load      path -> text                    parameter path
///   text.split     text -> parts: list<text>, count: int
///   text.join      parts: list<text> -> text
///   text.generate  prompt?: text, context?: list<text> -> text, tokens: int, finish_reason: text      a language model
///   text.choose    prompt: text -> choice: text, sure: bool, scores: json
///   text.template  any further inputs -> text      parameter template
///   text.save      text -> path                    parameter path (per request)
///   image.generate prompt: text -> image           a diffusion model
///   image.load     path -> image: image
///   image.encode   image -> latent: image.latent   a diffusion or a vision model
///   image.save     image -> path
///   math.scale     x: float, by?: float -> y: float
#ifndef WEFT_PIPELINE_GRAPH_TESTING_EXAMPLE_CATALOG_H
#define WEFT_PIPELINE_GRAPH_TESTING_EXAMPLE_CATALOG_H

#include "pipeline/loader/catalog.h"

namespace weft {

Catalog example_catalog();

}  // namespace weft
#endif
