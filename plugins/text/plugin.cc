// The text plugin's descriptor and its one exported symbol. Each node's own file holds its ports and parameters.
#include <weft/sdk/plugin.h>

#include "plugins/text/bench_node.h"
#include "plugins/text/embed_bench_node.h"
#include "plugins/text/embed_node.h"
#include "plugins/text/generate_node.h"
#include "plugins/text/language_model.h"
#include "plugins/text/rank_node.h"
#include "plugins/text/reading_nodes.h"
#include "plugins/text/text_nodes.h"

namespace weft::text {
namespace {

const weft_model_type kModels[] = {sdk::model<LanguageModel>(
    {.name = "text.language_model",
     .help = "A language model: a decoder, in GGUF or a Hugging Face folder of safetensors, or an encoder of "
             "texts (BERT, RoBERTa), in such a folder.",
     .parameters = LanguageModel::parameters()})};

const weft_node_type kNodes[] = {
    sdk::node<GenerateNode>({.name = "text.generate",
                             .help = "Answers or continues a prompt with a language model.",
                             .version = 2,
                             .flags = WEFT_NODE_PURE,
                             .inputs = generation_inputs(),
                             .outputs = generation_outputs(),
                             .parameters = generate_parameters()}),
    sdk::node<ChatNode>(
        {.name = "text.chat",
         .help = "Continues a conversation with a language model, in the form of its chat template.",
         .version = 2,
         .flags = WEFT_NODE_PURE,
         .inputs = generation_inputs(),
         .outputs = generation_outputs(),
         .parameters = chat_parameters()}),
    kScoreNode,
    kChooseNode,
    kEmbedNode,
    kRankNode,
    kTokenizeNode,
    kTemplateNode,
    kLoadNode,
    kSaveNode,
    kBenchNode,
    kEmbedBenchNode,
};

const weft_plugin kPlugin = sdk::plugin({.name = "text",
                                         .version = "0.1.0",
                                         .license = "Apache-2.0",
                                         .help = "Language models: generate, chat, score, choose, embed.",
                                         .nodes = kNodes,
                                         .models = kModels});

}  // namespace
}  // namespace weft::text

extern "C" const weft_plugin* weft_plugin_entry(uint32_t /*host_abi_version*/) {
  return &weft::text::kPlugin;
}
