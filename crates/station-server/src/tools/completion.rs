//! What an argument may be, while a person types it: agents, environments and tools by their names.

use super::management::{Desk, failed};
use super::{prompts, resources};
use station_core::{EnvironmentName, Result};
use station_mcp::serve::{Asked, Completing, Fault, Subject};

/// What agents work in: a few to begin with, any word will do.
const DOMAINS: [&str; 6] = ["data", "devops", "finance", "logs", "monitoring", "security"];

/// Values of the argument that fit what is typed, best first.
///
/// # Errors
/// There is no such prompt, template or argument; or we fail.
pub(super) async fn complete(desk: &Desk, asked: &Asked, of: Completing) -> Result<Vec<String>, Fault> {
    let unknown = |what: &str| Fault::Params(format!("there is no {what}"));
    let values = match &of.of {
        Subject::Template(uri) if !resources::is_template(uri) => {
            return Err(unknown(&format!("template `{uri}`")));
        }
        Subject::Template(_) if of.argument != "id" => {
            return Err(unknown(&format!("argument `{}` of that template", of.argument)));
        }
        Subject::Template(uri) if uri.starts_with("station://environments/") => {
            environments(desk, asked).await
        }
        // Found by their names, and told by their numbers: they fit already.
        Subject::Template(_) => return agents(desk, asked, &of.value).await.map_err(|error| failed(&error)),
        Subject::Prompt(name) if !prompts::takes(name, &of.argument) => {
            return Err(unknown(&format!("argument `{}` of a prompt `{name}`", of.argument)));
        }
        Subject::Prompt(_) => match of.argument.as_str() {
            "environment" => environments(desk, asked).await,
            "domain" => Ok(DOMAINS.map(str::to_owned).to_vec()),
            "focus" => {
                let environment = of.others.get("environment").and_then(serde_json::Value::as_str);
                tools(desk, asked, environment).await
            }
            _ => Ok(Vec::new()),
        },
    };
    Ok(fitting(values.map_err(|error| failed(&error))?, &of.value))
}

/// Those that begin with what is typed, then those that hold it; case does not count.
fn fitting(values: Vec<String>, typed: &str) -> Vec<String> {
    let typed = typed.to_lowercase();
    let (mut begin, rest): (Vec<String>, Vec<String>) =
        values.into_iter().partition(|value| value.to_lowercase().starts_with(&typed));
    begin.extend(rest.into_iter().filter(|value| value.to_lowercase().contains(&typed)));
    begin
}

async fn environments(desk: &Desk, asked: &Asked) -> Result<Vec<String>> {
    let all = desk.station.list_environments(&asked.by).await?;
    Ok(all.into_iter().map(|environment| environment.name.to_string()).collect())
}

/// Agents by number where a number is typed, else by name; a name means one of `default`, so others are numbers.
async fn agents(desk: &Desk, asked: &Asked, typed: &str) -> Result<Vec<String>> {
    let default = EnvironmentName::default();
    let all = desk.station.list_environments(&asked.by).await?;
    let home = all.into_iter().find(|environment| environment.name == default).map(|it| it.id);
    let is_number = !typed.is_empty() && typed.chars().all(|c| c.is_ascii_digit());
    let agents = desk.station.list_agents(&asked.by, None).await?;
    let typed = typed.to_lowercase();
    let (mut names, mut numbers) = (Vec::new(), Vec::new());
    for agent in agents {
        let (id, name) = (agent.id.to_string(), agent.name.to_string());
        if is_number {
            numbers.extend(id.starts_with(&typed).then_some(id));
        } else if Some(agent.environment) == home {
            names.push(name);
        } else if name.to_lowercase().contains(&typed) {
            numbers.push(id);
        }
    }
    let mut found = fitting(names, &typed);
    found.append(&mut numbers);
    Ok(found)
}

async fn tools(desk: &Desk, asked: &Asked, environment: Option<&str>) -> Result<Vec<String>> {
    let name = environment.and_then(|name| EnvironmentName::parse(name).ok()).unwrap_or_default();
    let all = desk.station.list_environments(&asked.by).await?;
    if all.iter().all(|environment| environment.name != name) {
        return Ok(Vec::new());
    }
    let tools = desk.station.list_tools(&asked.by, &name, None, None).await?;
    Ok(tools.into_iter().map(|tool| tool.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_it_comes_first() {
        let values = ["read", "Write", "reread", "list"].map(str::to_owned).to_vec();
        assert_eq!(fitting(values.clone(), "re"), ["read", "reread"]);
        assert_eq!(fitting(values.clone(), "RE"), ["read", "reread"]);
        assert_eq!(fitting(values.clone(), "rite"), ["Write"]);
        assert_eq!(fitting(values, "").len(), 4);
    }
}
