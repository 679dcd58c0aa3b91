/// The pipeline that tests of batches run.
#ifndef WEFT_PIPELINE_BATCH_TESTING_BATCH_PIPELINE_H
#define WEFT_PIPELINE_BATCH_TESTING_BATCH_PIPELINE_H

namespace weft::testing {

/// Inputs: topic (text; "bad" makes the item fail), loud (text ""), n (int 1). Output: text. Writes topic and loud to a.txt.
inline constexpr const char* kBatchPipeline = R"("inputs": {
    "topic": {"type": "text"}, "loud": {"type": "text", "default": ""}, "n": {"type": "int", "default": 1}},
  "nodes": {
    "check": {"uses": "test.fails", "in": {"x": "inputs.topic"}, "with": {"only": "bad", "times": 1000000}},
    "say": {"uses": "test.text", "with": {"text": "${inputs.topic}${inputs.loud} ${inputs.n}"}},
    "keep": {"uses": "test.write", "in": {"text": "say.text"}, "with": {"path": "a.txt"}}},
  "outputs": {"text": "say.text"})";

}  // namespace weft::testing
#endif
