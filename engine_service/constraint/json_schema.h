// JSON schema to grammar. What is accepted, what is refused and what the schema's words mean here:
// docs/constrained-decoding.md.
//
// Everything the grammar matches is valid under the schema (apart from formats, which match a
// sound subset of their values); of the valid values it matches those in the usual spelling:
// properties in the order of the schema, strings under `pattern`, `enum` and `const` escaped as
// serialisers do.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_JSON_SCHEMA_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_JSON_SCHEMA_H_

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/constraint/expr.h"
#include "engine_service/constraint/json_rules.h"
#include "nlohmann/json_fwd.hpp"

namespace vallm::engine {

inline constexpr size_t kMaxSchemaBytes = 512 * 1024;
inline constexpr int kMaxSchemaDepth = 100;
inline constexpr int kMaxSubschemas = 50'000;
// What one merge ("allOf", a keyword beside "$ref" or "anyOf") counts as: it copies its parts.
inline constexpr int kPartsPerMerge = 20;

// Turns the schemas of one document into expressions over one grammar. `grammar` and `document`
// must outlive it.
class SchemaCompiler {
 public:
  SchemaCompiler(const nlohmann::ordered_json* document, Grammar* grammar)
      : document_(document), grammar_(grammar), json_(grammar) {}

  // The values of `schema`, a part of the document or made from its parts; `path` is where it
  // stands ("#/properties/a"), for messages.
  // Errors: INVALID_ARGUMENT for what is no schema or contradicts itself; UNIMPLEMENTED for
  // keywords that are not supported; RESOURCE_EXHAUSTED beyond the limits. Messages begin with the
  // path.
  absl::StatusOr<ExprPtr> Compile(const nlohmann::ordered_json& schema, const std::string& path);

 private:
  using Json = nlohmann::ordered_json;
  using Result = absl::StatusOr<ExprPtr>;

  Result CompileObjectSchema(const Json& schema, const std::string& path);
  Result CompileReference(const Json& schema, const std::string& path);
  Result CompileAllOf(const Json& schema, const std::string& path);
  Result CompileAnyOf(const Json& schema, const std::string& key, const std::string& path);
  Result CompileEnum(const Json& schema, const std::string& path);
  Result CompileTypes(const Json& schema, const std::string& path);
  Result CompileType(const Json& schema, const std::string& type, const std::string& path);
  Result CompileString(const Json& schema, const std::string& path);
  Result CompileInteger(const Json& schema, const std::string& path);
  Result CompileNumber(const Json& schema, const std::string& path);
  Result CompileArray(const Json& schema, const std::string& path);
  Result CompileObject(const Json& schema, const std::string& path);
  Result CompilePatternObject(const Json& schema, bool may_be_empty, const std::string& path);
  ExprPtr ObjectOfProperties(const std::vector<int>& members, const std::vector<bool>& required,
                             const ExprPtr& extra, bool may_be_empty);
  ExprPtr ValueExpr(const Json& value);

  // What "#/..." points at.
  absl::StatusOr<const Json*> Resolve(const std::string& reference, const std::string& path) const;
  // `schema` itself, or with its "$ref" replaced by what it points at.
  absl::StatusOr<Json> WithoutReference(const Json& schema, const std::string& path);
  // Counts `parts` more towards kMaxSubschemas.
  absl::Status Charge(int parts, const std::string& path);

  const Json* document_;
  Grammar* grammar_;
  JsonRules json_;
  std::map<std::string, int> reference_rules_;
  int depth_ = 0;
  int count_ = 0;
};

// The grammar of a whole schema, given as JSON text.
absl::StatusOr<Grammar> GrammarOfSchema(std::string_view schema);
// Any JSON object.
Grammar GrammarOfAnyObject();

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_JSON_SCHEMA_H_
