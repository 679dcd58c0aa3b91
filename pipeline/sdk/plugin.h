/// Everything that a plugin includes: node and model classes (node.h, model.h), requests and values (request.h, value.h,
/// host.h), parameters (parameters.h, text_list.h), and the descriptor (descriptor.h). Header-only C++20 over the C contract in <weft/abi/>; nothing of the host
/// is linked. Start from plugins/template, or read docs/write_a_plugin.md.
///
/// A plugin ends with its one exported symbol:
///   extern "C" const weft_plugin* weft_plugin_entry(uint32_t) { return &kPlugin; }
#ifndef WEFT_SDK_PLUGIN_H
#define WEFT_SDK_PLUGIN_H

#include <weft/abi/plugin.h>
#include <weft/sdk/descriptor.h>
#include <weft/sdk/error.h>
#include <weft/sdk/host.h>
#include <weft/sdk/model.h>
#include <weft/sdk/node.h>
#include <weft/sdk/parameters.h>
#include <weft/sdk/request.h>
#include <weft/sdk/text_list.h>
#include <weft/sdk/value.h>

#endif
